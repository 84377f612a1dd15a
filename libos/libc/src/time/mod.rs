//! `<time.h>` and `<sys/time.h>`.

mod calendar;
mod clock;
mod rule;
mod strftime;
mod timers;
mod zone;

pub use zone::LOCK as ZONE_LOCK;
