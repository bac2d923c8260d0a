// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
//! EPT from Zig: maps 3 MiB, translates, and has a refused write explained. See ../README.md for the commands.
const std = @import("std");
const c = @import("hvpt.zig");

// Host memory as this program plays it: "physical" address 0 is the first byte. Tables are taken from the start.
var memory: [1 << 20]u8 align(4096) = undefined;
var next_frame: u64 = 4096;

fn allocFrame(ctx: ?*anyopaque, order: c_uint, out: [*c]c.hvpt_hpa) callconv(.c) bool {
    _ = ctx;
    const size = @as(u64, 4096) << @intCast(order);
    if (next_frame + size > memory.len) return false;
    out.* = c.hvpt_make_hpa(next_frame);
    next_frame += size;
    return true;
}

fn freeFrame(ctx: ?*anyopaque, frame: c.hvpt_hpa, order: c_uint) callconv(.c) void {
    _ = ctx;
    _ = frame;
    _ = order;
}

// "explain" hands its words over in pieces; the last line is the verdict.
var words: [2048]u8 = undefined;
var used: usize = 0;

fn put(ctx: ?*anyopaque, bytes: [*c]const u8, length: usize) callconv(.c) void {
    _ = ctx;
    for (0..length) |i| {
        if (used < words.len) {
            words[used] = bytes[i];
            used += 1;
        }
    }
}

fn check(status: c_uint) void {
    if (status != c.HVPT_OK) @panic("hvpt refused");
}

pub fn main() void {
    var hooks = std.mem.zeroes(c.struct_hvpt_hooks);
    hooks.alloc_frame = allocFrame;
    hooks.free_frame = freeFrame;
    hooks.linear_map = &memory;
    var config = std.mem.zeroes(c.struct_hvpt_ept_config);
    config.maxphyaddr = 46;
    var space: c.struct_hvpt_space = undefined;
    check(c.hvpt_ept_init(&space, &hooks, &config));

    var ram = std.mem.zeroes(c.struct_hvpt_attr);
    ram.perm = c.HVPT_READ | c.HVPT_WRITE | c.HVPT_EXEC;
    ram.memtype = c.HVPT_MEM_WB;
    const none = std.mem.zeroes(c.struct_hvpt_attr);
    var flush = std.mem.zeroes(c.struct_hvpt_flush);
    check(c.hvpt_space_map(&space, c.hvpt_make_gpa(0), c.hvpt_make_hpa(0x200000), 0x300000, ram, &flush));
    check(c.hvpt_space_protect(&space, c.hvpt_make_gpa(0x2ff000), 4096, none, c.HVPT_WRITE, &flush));
    c.hvpt_space_flush(&space, &flush);

    std.debug.print("EPTP bits 11:0 {x}\n", .{c.hvpt_space_root(&space) & 0xfff});
    for ([_]u64{ 0x1000, 0x2ff000 }) |gpa| {
        var at: c.struct_hvpt_mapping = undefined;
        check(c.hvpt_space_translate(&space, c.hvpt_make_gpa(gpa), &at));
        std.debug.print("guest {x} is host {x}, a page of {d}\n", .{ gpa, at.hpa.value, at.page_size });
    }
    const text = c.struct_hvpt_text{ .put = put, .ctx = null };
    _ = c.hvpt_space_explain(&space, c.hvpt_make_gpa(0x2ff000), c.HVPT_WRITE, &text);
    const said = std.mem.trimEnd(u8, words[0..used], "\n");
    const last = if (std.mem.lastIndexOfScalar(u8, said, '\n')) |at| at + 1 else 0;
    std.debug.print("{s}\n", .{said[last..]});
    c.hvpt_space_destroy(&space);
}
