//! Devices, and the console that stands on them. Drivers know registers, not policy: who reads what they receive is
//! told to them ([`uart::set_receiver`]).

mod console;
pub mod frame;
pub mod hostlink;
pub mod pl011;
pub mod rtc;
pub mod uart;

pub use console::{ConsoleMode, console_log, console_mode, emergency_write, set_console_mode};
pub use uart::init_uart;
