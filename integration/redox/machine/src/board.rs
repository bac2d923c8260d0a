//! The few devices of a PC that Linux cannot do without: two 8259As, an 8254, an 8250 that prints, a clock that stands still.

use alloc::string::String;

/// 8259A. Edge-triggered, fully nested.
#[derive(Default)]
struct Pic {
    requested: u8,
    serviced: u8,
    masked: u8,
    base: u8,
    /// Initialization words that are to come.
    step: u8,
    wants_fourth: bool,
    reads_serviced: bool,
}

impl Pic {
    /// The request of the highest priority that nothing in service holds back.
    fn pending(&self) -> Option<u8> {
        let line = (self.requested & !self.masked).trailing_zeros() as u8;
        let serviced = self.serviced.trailing_zeros() as u8;

        if line < 8 && line < serviced {
            Some(line)
        } else {
            None
        }
    }

    fn acknowledge(&mut self, line: u8) -> u8 {
        self.requested &= !(1 << line);
        self.serviced |= 1 << line;
        self.base | line
    }

    fn write(&mut self, second: bool, value: u8) {
        match (second, self.step) {
            (false, _) if value & 0x10 != 0 => {
                let base = self.base;
                *self = Self {
                    base,
                    step: if value & 2 != 0 { 2 } else { 1 },
                    wants_fourth: value & 1 != 0,
                    ..Self::default()
                };
                if value & 2 != 0 {
                    self.step = 1; // single: no third word
                }
            }
            (false, _) if value & 0x08 != 0 => {
                if value & 2 != 0 {
                    self.reads_serviced = value & 1 != 0;
                }
            }
            (false, _) => match value >> 5 {
                1 => self.serviced &= self.serviced.wrapping_sub(1),
                3 => self.serviced &= !(1 << (value & 7)),
                _ => (),
            },
            (true, 1) => {
                self.base = value & 0xf8;
                self.step = 2;
            }
            (true, 2) => self.step = if self.wants_fourth { 3 } else { 0 },
            (true, 3) => self.step = 0,
            (true, _) => self.masked = value,
        }
    }

    fn read(&self, second: bool) -> u8 {
        match (second, self.reads_serviced) {
            (true, _) => self.masked,
            (false, true) => self.serviced,
            (false, false) => self.requested,
        }
    }
}

const PIT_HZ: u64 = 1_193_182;

/// A channel of the 8254: what it was told, and when it began.
#[derive(Default, Clone, Copy)]
struct Channel {
    mode: u8,
    access: u8,
    reload: u32,
    began: u64,
    low: Option<u8>,
    latch: Option<u16>,
    second_byte: bool,
    /// Interrupts that it has given since it began.
    given: u64,
}

impl Channel {
    fn ticks(&self, now: u64, tsc_hz: u64) -> u64 {
        let passed = now.wrapping_sub(self.began);

        // asked at every exit: no division of 128 bits
        passed / tsc_hz * PIT_HZ + passed % tsc_hz * PIT_HZ / tsc_hz
    }

    fn count(&self, now: u64, tsc_hz: u64) -> u16 {
        let ticks = self.ticks(now, tsc_hz);
        let reload = u64::from(self.reload.max(1));

        match self.mode {
            2 => (reload - ticks % reload) as u16,
            3 => (reload - 2 * ticks % reload) as u16,
            _ => reload.wrapping_sub(ticks) as u16,
        }
    }

    /// OUT of a one-shot.
    fn is_over(&self, now: u64, tsc_hz: u64) -> bool {
        self.reload != 0 && self.ticks(now, tsc_hz) >= u64::from(self.reload)
    }

    /// Has an edge of OUT come that was not told yet?
    fn edge(&mut self, now: u64, tsc_hz: u64) -> bool {
        if self.reload == 0 {
            return false;
        }
        let ticks = self.ticks(now, tsc_hz);
        let edges = match self.mode {
            2 | 3 => ticks / u64::from(self.reload),
            _ => u64::from(ticks >= u64::from(self.reload)),
        };
        let came = edges > self.given;
        self.given = edges;
        came
    }

    fn write(&mut self, value: u8, now: u64) {
        let word = match (self.access, self.low.take()) {
            (1, _) => u32::from(value),
            (2, _) => u32::from(value) << 8,
            (_, None) => {
                self.low = Some(value);
                return;
            }
            (_, Some(low)) => u32::from(low) | u32::from(value) << 8,
        };
        self.reload = if word == 0 { 0x1_0000 } else { word };
        self.began = now;
        self.given = 0;
    }

    fn read(&mut self, now: u64, tsc_hz: u64) -> u8 {
        let value = self.latch.unwrap_or_else(|| self.count(now, tsc_hz));
        let high = match self.access {
            1 => false,
            2 => true,
            _ => {
                self.second_byte = !self.second_byte;
                !self.second_byte
            }
        };

        if self.access != 3 || high {
            self.latch = None;
        }
        if high {
            (value >> 8) as u8
        } else {
            value as u8
        }
    }
}

/// 8250 whose transmitter is always done, and whose receiver never has anything.
#[derive(Default)]
struct Uart {
    enabled: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    divisor: [u8; 2],
    empty: bool,
}

impl Uart {
    fn interrupt(&self) -> bool {
        self.enabled & 2 != 0 && self.empty && self.modem_control & 8 != 0
    }

    fn read(&mut self, register: u16) -> u8 {
        match (register, self.line_control & 0x80 != 0) {
            (0, true) => self.divisor[0],
            (1, true) => self.divisor[1],
            (0, false) => 0,
            (1, false) => self.enabled,
            (2, _) if self.enabled & 2 != 0 && self.empty => {
                self.empty = false;
                2
            }
            (2, _) => 1,
            (3, _) => self.line_control,
            (4, _) => self.modem_control,
            (5, _) => 0x60,
            (6, _) if self.modem_control & 0x10 != 0 => {
                // looped back: RTS, DTR, OUT1, OUT2
                let out = self.modem_control;
                (out & 2) << 3 | (out & 1) << 5 | (out & 4) << 4 | (out & 8) << 4
            }
            (6, _) => 0xb0,
            _ => self.scratch,
        }
    }

    /// The character that goes out, if one does.
    fn write(&mut self, register: u16, value: u8) -> Option<u8> {
        match (register, self.line_control & 0x80 != 0) {
            (0, true) => self.divisor[0] = value,
            (1, true) => self.divisor[1] = value,
            (0, false) => {
                self.empty = true;
                if self.modem_control & 0x10 == 0 {
                    return Some(value);
                }
            }
            (1, false) => {
                self.enabled = value & 15;
                self.empty = true;
            }
            (3, _) => self.line_control = value,
            (4, _) => self.modem_control = value & 0x1f,
            (7, _) => self.scratch = value,
            _ => (),
        }
        None
    }
}

/// All of it, and what the guest has printed of the line that it is at.
#[derive(Default)]
pub struct Board {
    pics: [Pic; 2],
    pit: [Channel; 3],
    uart: Uart,
    gate: u8,
    cmos: u8,
    tsc_hz: u64,
    line: String,
    refresh: bool,
}

impl Board {
    pub fn new(tsc_hz: u64) -> Self {
        Self {
            tsc_hz,
            ..Self::default()
        }
    }

    fn raise(&mut self, line: u8) {
        let [first, second] = &mut self.pics;

        if line < 8 {
            first.requested |= 1 << line;
        } else {
            second.requested |= 1 << (line - 8);
        }
    }

    /// Time goes on.
    pub fn tick(&mut self, now: u64) {
        if self.pit[0].edge(now, self.tsc_hz) {
            self.raise(0);
        }
        if self.uart.interrupt() {
            self.raise(4);
        }
        if self.pics[1].pending().is_some() {
            self.raise(2);
        }
    }

    /// Does an interrupt wait?
    pub fn is_pending(&self) -> bool {
        self.pics[0].pending().is_some()
    }

    /// The vector that the CPU is given. Only after `is_pending`.
    pub fn acknowledge(&mut self) -> u8 {
        let [first, second] = &mut self.pics;

        match first.pending() {
            Some(2) => {
                first.acknowledge(2);
                second
                    .pending()
                    .map_or(second.base | 7, |line| second.acknowledge(line))
            }
            Some(line) => first.acknowledge(line),
            None => first.base | 7,
        }
    }

    /// IN of one byte.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        match port {
            0x20 | 0x21 => self.pics[0].read(port & 1 != 0),
            0xa0 | 0xa1 => self.pics[1].read(port & 1 != 0),
            0x40..=0x42 => self.pit[usize::from(port - 0x40)].read(now, self.tsc_hz),
            0x61 => {
                self.refresh = !self.refresh;
                let out = self.pit[2].is_over(now, self.tsc_hz);
                self.gate | u8::from(self.refresh) << 4 | u8::from(out) << 5
            }
            // a moment in 2026, in BCD, that never ends
            0x71 => match self.cmos {
                0 | 2 => 0x30,
                4 => 0x12,
                7 => 0x15,
                8 => 0x06,
                9 => 0x26,
                0x0a => 0x26,
                0x0b => 2,
                0x0d => 0x80,
                0x32 => 0x20,
                _ => 0,
            },
            0x3f8..=0x3ff => self.uart.read(port - 0x3f8),
            _ => 0xff,
        }
    }

    /// OUT of one byte. A line that is complete comes back.
    pub fn write(&mut self, port: u16, value: u8, now: u64) -> Option<String> {
        match port {
            0x20 | 0x21 => self.pics[0].write(port & 1 != 0, value),
            0xa0 | 0xa1 => self.pics[1].write(port & 1 != 0, value),
            0x40..=0x42 => self.pit[usize::from(port - 0x40)].write(value, now),
            0x43 if value >> 6 < 3 => {
                let tsc_hz = self.tsc_hz;
                let channel = &mut self.pit[usize::from(value >> 6)];
                if value >> 4 & 3 == 0 {
                    channel.latch = Some(channel.count(now, tsc_hz));
                } else {
                    let mode = value >> 1 & 7;
                    *channel = Channel {
                        mode: if mode > 5 { mode - 4 } else { mode },
                        access: value >> 4 & 3,
                        began: now,
                        ..Channel::default()
                    };
                }
            }
            0x61 => {
                if value & 1 != 0 && self.gate & 1 == 0 {
                    self.pit[2].began = now;
                }
                self.gate = value & 3;
            }
            0x70 => self.cmos = value & 0x7f,
            0x3f8..=0x3ff => match self.uart.write(port - 0x3f8, value) {
                Some(b'\n') => return Some(core::mem::take(&mut self.line)),
                Some(b'\r') | None => (),
                Some(other) => self.line.push(char::from(other)),
            },
            _ => (),
        }
        None
    }
}
