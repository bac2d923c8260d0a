//! The scheme `hv` from a program's side, on a played CPU of each vendor: what it answers, to sound and to hostile
//! calls, from one thread and from several; and that frames balance whatever was asked.

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod killed;
mod memory;
mod open;
mod races;
mod running;
mod told;
mod world;
