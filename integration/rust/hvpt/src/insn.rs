//! Instructions that an exit leaves to be carried out: those that reach a device's memory, and MOV to and from control and
//! debug registers. A few dozen opcodes, those that drivers are compiled to; whatever else comes is not understood.
//! SDM vol. 2, "Instruction Format", "Opcode Map".

use crate::Gpr;

/// The most bytes that an instruction has.
pub const MAX_LENGTH: usize = 15;

/// What CS and EFER say about the code: default sizes of operands and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CodeSize {
    Bits16,
    Bits32,
    Bits64,
}

/// A general register, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub register: Gpr,
    /// Bits 15:8, as AH: of one byte only.
    pub high: bool,
}

/// What is computed from two operands; the numbers are those of the opcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compute {
    Add,
    Or,
    And,
    Sub,
    Xor,
    /// Flags of a subtraction alone.
    Cmp,
    /// Flags of AND alone.
    Test,
}

/// What an instruction does with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Into a register of `width` bytes, by zeros or the sign.
    Load {
        /// Where to.
        to: Part,
        /// Bytes that are written there.
        width: u8,
        /// The upper ones are the sign.
        signed: bool,
    },
    /// From a register.
    Store(Part),
    /// Of a constant.
    StoreValue(u64),
    /// A register, or a constant, and memory, into the register and the flags. Memory is only read.
    Compute {
        /// What.
        what: Compute,
        /// The register; `None`: the constant.
        with: Option<Part>,
        /// The constant.
        value: u64,
        /// Memory is the first operand, which counts for Cmp.
        memory_first: bool,
    },
}

/// An instruction with one operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInstruction {
    /// Its bytes.
    pub length: u8,
    /// Bytes of the operand in memory: 1, 2, 4 or 8.
    pub size: u8,
    /// What it does.
    pub operation: Operation,
}

/// MOV to or from a control or debug register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemMove {
    /// A debug register, not a control register.
    pub debug: bool,
    /// Its number.
    pub number: u8,
    /// The general register.
    pub gpr: Gpr,
    /// To the system register, not from it.
    pub write: bool,
    /// Bytes of the instruction.
    pub length: u8,
}

const REGISTERS: [Gpr; 16] = [
    Gpr::Rax,
    Gpr::Rcx,
    Gpr::Rdx,
    Gpr::Rbx,
    Gpr::Rsp,
    Gpr::Rbp,
    Gpr::Rsi,
    Gpr::Rdi,
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::R11,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::R15,
];

/// The register with this number, of which four bits count.
pub fn gpr(number: u8) -> Gpr {
    REGISTERS[usize::from(number & 15)]
}

/// Bytes that are taken one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes, sign-extended.
    fn number(&mut self, size: u8) -> Option<u64> {
        let mut value = 0;
        for shift in 0..size {
            value |= u64::from(self.byte()?) << (8 * shift);
        }
        Some(sign_extend(value, size))
    }
}

/// Of `size` bytes, into 8.
fn sign_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size);
    ((value << shift) as i64 >> shift) as u64
}

/// As many bytes as `size` says.
fn mask(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(size))
}

struct Prefixes {
    operand16: bool,
    address_other: bool,
    rex: u8,
}

fn prefixes(reader: &mut Reader<'_>, code: CodeSize) -> Option<(Prefixes, u8)> {
    let mut found = Prefixes {
        operand16: false,
        address_other: false,
        rex: 0,
    };

    loop {
        match reader.byte()? {
            0x66 => found.operand16 = true,
            0x67 => found.address_other = true,
            // LOCK is refused by everything here; segments do not matter, the exit has the address
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 => (),
            rex @ 0x40..=0x4f if code == CodeSize::Bits64 => {
                found.rex = rex;
                return Some((found, reader.byte()?));
            }
            opcode => return Some((found, opcode)),
        }
    }
}

/// ModRM with what follows it: its reg field, without REX. `None`: the operand is a register.
fn memory_operand(reader: &mut Reader<'_>, code: CodeSize, other: bool) -> Option<u8> {
    let modrm = reader.byte()?;
    let (mode, reg, rm) = (modrm >> 6, modrm >> 3 & 7, modrm & 7);
    let wide = match code {
        CodeSize::Bits16 => other,
        CodeSize::Bits32 => !other,
        CodeSize::Bits64 => true,
    };

    if mode == 3 {
        return None;
    }
    let displacement = if wide {
        let base = if rm == 4 { reader.byte()? & 7 } else { rm };
        match mode {
            0 if base == 5 => 4,
            0 => 0,
            1 => 1,
            _ => 4,
        }
    } else {
        match mode {
            0 if rm == 6 => 2,
            0 => 0,
            1 => 1,
            _ => 2,
        }
    };
    for _ in 0..displacement {
        reader.byte()?;
    }
    Some(reg)
}

/// A register operand of `size` bytes.
fn part(reg: u8, size: u8, rex: u8) -> Part {
    if size == 1 && rex == 0 && reg >= 4 {
        return Part {
            register: gpr(reg - 4),
            high: true,
        };
    }
    Part {
        register: gpr(reg | (rex & 4) << 1),
        high: false,
    }
}

fn compute(number: u8) -> Option<Compute> {
    match number {
        0 => Some(Compute::Add),
        1 => Some(Compute::Or),
        4 => Some(Compute::And),
        5 => Some(Compute::Sub),
        6 => Some(Compute::Xor),
        7 => Some(Compute::Cmp),
        _ => None, // with the carry
    }
}

/// The instruction that these bytes begin with; `None`: it is none that is known here, or there are too few of them.
pub fn memory_instruction(bytes: &[u8], code: CodeSize) -> Option<MemoryInstruction> {
    let mut reader = Reader { bytes, at: 0 };
    let (found, opcode) = prefixes(&mut reader, code)?;
    let full = match (found.rex & 8 != 0, found.operand16, code) {
        (true, ..) => 8,
        (_, false, CodeSize::Bits16) | (_, true, CodeSize::Bits32 | CodeSize::Bits64) => 2,
        _ => 4,
    };
    let size = if opcode & 1 == 0 { 1 } else { full };
    let immediate = |size: u8| if size == 8 { 4 } else { size };
    let operand = |reader: &mut Reader<'_>| memory_operand(reader, code, found.address_other);
    let (size, operation) = match opcode {
        // MOV
        0x88 | 0x89 => (
            size,
            Operation::Store(part(operand(&mut reader)?, size, found.rex)),
        ),
        0x8a | 0x8b => {
            let to = part(operand(&mut reader)?, size, found.rex);
            (
                size,
                Operation::Load {
                    to,
                    width: size,
                    signed: false,
                },
            )
        }
        0xa0..=0xa3 => {
            let bytes = match (code, found.address_other) {
                (CodeSize::Bits64, false) => 8,
                (CodeSize::Bits16, false) | (CodeSize::Bits32, true) => 2,
                _ => 4,
            };
            reader.number(bytes)?;
            let accumulator = Part {
                register: Gpr::Rax,
                high: false,
            };
            let operation = if opcode < 0xa2 {
                Operation::Load {
                    to: accumulator,
                    width: size,
                    signed: false,
                }
            } else {
                Operation::Store(accumulator)
            };
            (size, operation)
        }
        0xc6 | 0xc7 => {
            if operand(&mut reader)? != 0 {
                return None;
            }
            (
                size,
                Operation::StoreValue(reader.number(immediate(size))? & mask(size)),
            )
        }
        // MOVSXD
        0x63 if code == CodeSize::Bits64 => {
            let to = part(operand(&mut reader)?, full, found.rex);
            (
                4,
                Operation::Load {
                    to,
                    width: full,
                    signed: true,
                },
            )
        }
        // MOVZX, MOVSX
        0x0f => {
            let second = reader.byte()?;
            if !matches!(second, 0xb6 | 0xb7 | 0xbe | 0xbf) {
                return None;
            }
            let to = part(operand(&mut reader)?, full, found.rex);
            (
                1 << (second & 1),
                Operation::Load {
                    to,
                    width: full,
                    signed: second >= 0xbe,
                },
            )
        }
        // ADD to CMP of a register and memory, into the register; CMP and TEST of memory and a register
        0x02 | 0x03 | 0x0a | 0x0b | 0x22 | 0x23 | 0x2a | 0x2b | 0x32 | 0x33 | 0x3a | 0x3b
        | 0x38 | 0x39 | 0x84 | 0x85 => {
            let with = Some(part(operand(&mut reader)?, size, found.rex));
            let what = if opcode >= 0x84 {
                Compute::Test
            } else {
                compute(opcode >> 3)?
            };
            (
                size,
                Operation::Compute {
                    what,
                    with,
                    value: 0,
                    memory_first: opcode == 0x38 || opcode == 0x39,
                },
            )
        }
        // CMP and TEST of memory and a constant
        0x80 | 0x81 | 0x83 | 0xf6 | 0xf7 => {
            let reg = operand(&mut reader)?;
            let what = match (opcode, reg) {
                (0x80..=0x83, 7) => Compute::Cmp,
                (0xf6 | 0xf7, 0 | 1) => Compute::Test,
                _ => return None,
            };
            let value =
                reader.number(if opcode == 0x83 { 1 } else { immediate(size) })? & mask(size);
            (
                size,
                Operation::Compute {
                    what,
                    with: None,
                    value,
                    memory_first: true,
                },
            )
        }
        _ => return None,
    };
    if reader.at > MAX_LENGTH {
        return None;
    }
    Some(MemoryInstruction {
        length: reader.at as u8,
        size,
        operation,
    })
}

/// The same of MOV to and from control and debug registers.
pub fn system_move(bytes: &[u8], code: CodeSize) -> Option<SystemMove> {
    let mut reader = Reader { bytes, at: 0 };
    let (found, first) = loop {
        match prefixes(&mut reader, code)? {
            (_, 0xf0) => (), // AMD: LOCK MOV CR0 is CR8
            (_, 0xf2 | 0xf3) => (),
            other => break other,
        }
    };
    let second = reader.byte()?;
    if first != 0x0f || !(0x20..=0x23).contains(&second) {
        return None;
    }
    let modrm = reader.byte()?; // its mode does not count
    Some(SystemMove {
        debug: second & 1 != 0,
        number: modrm >> 3 & 7 | (found.rex & 4) << 1,
        gpr: gpr(modrm & 7 | (found.rex & 1) << 3),
        write: second & 2 != 0,
        length: reader.at as u8,
    })
}

/// General registers and flags, as a decoded instruction reads and writes them.
pub trait Registers {
    /// A register.
    fn read(&self, register: Gpr) -> u64;
    /// Change a register.
    fn write(&mut self, register: Gpr, value: u64);
    /// RFLAGS.
    fn flags(&self) -> u64;
    /// Change RFLAGS.
    fn set_flags(&mut self, value: u64);
}

fn read_part(registers: &dyn Registers, part: Part, size: u8) -> u64 {
    let value = registers.read(part.register);
    (if part.high { value >> 8 } else { value }) & mask(size)
}

/// Four bytes clear the upper half, one and two leave the rest: SDM vol. 1, "General-Purpose Registers in 64-Bit Mode".
fn write_part(registers: &mut dyn Registers, part: Part, size: u8, value: u64) {
    let shift = if part.high { 8 } else { 0 };
    let keep = if size >= 4 {
        0
    } else {
        registers.read(part.register) & !(mask(size) << shift)
    };
    registers.write(part.register, keep | (value & mask(size)) << shift);
}

impl MemoryInstruction {
    /// What it stores; `None`: it reads.
    pub fn stored(&self, registers: &dyn Registers) -> Option<u64> {
        match self.operation {
            Operation::Store(part) => Some(read_part(registers, part, self.size)),
            Operation::StoreValue(value) => Some(value),
            _ => None,
        }
    }

    /// The memory had this value: the registers and flags afterwards. Nothing happens to what stores.
    pub fn loaded(&self, value: u64, registers: &mut dyn Registers) {
        let value = value & mask(self.size);

        match self.operation {
            Operation::Store(_) | Operation::StoreValue(_) => (),
            Operation::Load { to, width, signed } => {
                let wide = if signed {
                    sign_extend(value, self.size)
                } else {
                    value
                };
                write_part(registers, to, width, wide);
            }
            Operation::Compute {
                what,
                with,
                value: constant,
                memory_first,
            } => {
                let other = with.map_or(constant, |part| read_part(registers, part, self.size));
                let (first, second) = if memory_first {
                    (value, other)
                } else {
                    (other, value)
                };
                let result = combine(what, first, second) & mask(self.size);
                let flags =
                    registers.flags() & !FLAGS | flags(what, first, second, result, self.size);

                registers.set_flags(flags);
                if let (Some(part), false) = (with, matches!(what, Compute::Cmp | Compute::Test)) {
                    write_part(registers, part, self.size, result);
                }
            }
        }
    }
}

/// CF, PF, AF, ZF, SF, OF.
const FLAGS: u64 = 0x8d5;

fn combine(what: Compute, first: u64, second: u64) -> u64 {
    match what {
        Compute::Add => first.wrapping_add(second),
        Compute::Sub | Compute::Cmp => first.wrapping_sub(second),
        Compute::Or => first | second,
        Compute::And | Compute::Test => first & second,
        Compute::Xor => first ^ second,
    }
}

/// SDM vol. 1, "EFLAGS Register", "Status Flags".
fn flags(what: Compute, first: u64, second: u64, result: u64, size: u8) -> u64 {
    let top = 1 << (8 * u32::from(size) - 1);
    let bit = |set: bool, number: u32| u64::from(set) << number;
    let (carry, overflow, adjust) = match what {
        Compute::Add => (
            result < first,
            (first ^ result) & (second ^ result) & top != 0,
            (first ^ second ^ result) & 16 != 0,
        ),
        Compute::Sub | Compute::Cmp => (
            first < second,
            (first ^ second) & (first ^ result) & top != 0,
            (first ^ second ^ result) & 16 != 0,
        ),
        _ => (false, false, false),
    };

    bit(carry, 0)
        | bit((result as u8).count_ones() % 2 == 0, 2)
        | bit(adjust, 4)
        | bit(result == 0, 6)
        | bit(result & top != 0, 7)
        | bit(overflow, 11)
}
