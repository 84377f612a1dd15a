//! Calendar, time zones, and what they print.

use crate::more;
use crate::support::*;
use libc::{c_char, c_int, tm};
use std::ffi::CStr;

crate::harness::tests![
    zones_by_rule_are_followed,
    fields_out_of_range_are_brought_in,
    summer_time_can_be_asked_for_in_winter,
    the_hour_that_comes_twice_can_be_told_apart,
    the_hour_that_is_left_out_is_moved,
    summer_time_that_a_zone_does_not_have_is_an_hour,
    zone_names_outlive_their_zone,
    padding_can_be_chosen,
    weeks_are_numbered,
    years_beyond_four_digits_do_not_fit_asctime,
];

const BERLIN: &CStr = c"CET-1CEST,M3.5.0,M10.5.0/3";

fn zone(name: &CStr) {
    ok(sys!(setenv(c"TZ".as_ptr(), name.as_ptr(), 1)));
    more::tzset();
}

fn local(at: i64) -> tm {
    let mut broken = zeroed();
    assert!(!sys!(localtime_r(&at, &mut broken)).is_null());
    broken
}

fn print(format: &CStr, broken: &tm) -> String {
    let mut buffer = [0 as c_char; 100];
    let n = sys!(strftime(buffer.as_mut_ptr(), 100, format.as_ptr(), broken));
    assert_eq!(buffer[n], 0);
    buffer[..n].iter().map(|&c| c as u8 as char).collect()
}

/// mktime of a date and an hour, with `tm_isdst` as given.
fn made(year: c_int, month: c_int, day: c_int, hour: c_int, minute: c_int, kind: c_int) -> i64 {
    let mut broken: tm = zeroed();
    broken.tm_year = year - 1900;
    broken.tm_mon = month - 1;
    broken.tm_mday = day;
    broken.tm_hour = hour;
    broken.tm_min = minute;
    broken.tm_isdst = kind;
    let at = sys!(mktime(&mut broken));
    // What it leaves in its argument is the same moment.
    let again = local(at);
    let fields = |t: &tm| {
        (
            t.tm_year, t.tm_yday, t.tm_wday, t.tm_hour, t.tm_min, t.tm_isdst,
        )
    };
    assert_eq!(fields(&broken), fields(&again));
    at
}

fn zones_by_rule_are_followed() {
    for (name, at, expected) in [
        (c"UTC0", 0, "1970-01-01 00:00:00 UTC +0000 Thu 001 01"),
        (c"UTC0", -1, "1969-12-31 23:59:59 UTC +0000 Wed 365 01"),
        (
            c"UTC0",
            951_782_400,
            "2000-02-29 00:00:00 UTC +0000 Tue 060 09",
        ),
        (
            BERLIN,
            1_700_000_000,
            "2023-11-14 23:13:20 CET +0100 Tue 318 46",
        ),
        (
            BERLIN,
            1_690_000_000,
            "2023-07-22 06:26:40 CEST +0200 Sat 203 29",
        ),
        (
            BERLIN,
            4_102_444_800,
            "2100-01-01 01:00:00 CET +0100 Fri 001 53",
        ),
        (
            c"EST5EDT",
            1_690_000_000,
            "2023-07-22 00:26:40 EDT -0400 Sat 203 29",
        ),
        (
            c"<+0330>-3:30",
            1_690_000_000,
            "2023-07-22 07:56:40 +0330 +0330 Sat 203 29",
        ),
        (
            c"AEST-10AEDT,M10.1.0,M4.1.0/3",
            1_700_000_000,
            "2023-11-15 09:13:20 AEDT +1100 Wed 319 46",
        ),
    ] {
        zone(name);
        let mut broken = local(at);
        let format = c"%Y-%m-%d %H:%M:%S %Z %z %a %j %V";
        assert_eq!(print(format, &broken), expected);
        assert_eq!(sys!(mktime(&mut broken)), at);
    }
}

fn fields_out_of_range_are_brought_in() {
    zone(c"UTC0");
    assert_eq!(made(2023, 14, -1, 25, 61, 0), made(2024, 1, 31, 2, 1, 0));
    assert_eq!(made(2024, 3, 0, 0, 0, -1), made(2024, 2, 29, 0, 0, -1));
    let mut broken: tm = zeroed();
    broken.tm_year = 70;
    broken.tm_mday = 366;
    assert_eq!(sys!(timegm(&mut broken)), 365 * 86400);
    assert_eq!((broken.tm_year, broken.tm_mon, broken.tm_mday), (71, 0, 1));
}

fn summer_time_can_be_asked_for_in_winter() {
    zone(BERLIN);
    let winter = made(2023, 1, 15, 12, 0, 0);
    assert_eq!(made(2023, 1, 15, 12, 0, -1), winter);
    assert_eq!(made(2023, 1, 15, 12, 0, 1), winter - 3600);
    let summer = made(2023, 7, 15, 12, 0, 1);
    assert_eq!(made(2023, 7, 15, 12, 0, -1), summer);
    assert_eq!(made(2023, 7, 15, 12, 0, 0), summer + 3600);
    // South of the equator.
    zone(c"AEST-10AEDT,M10.1.0,M4.1.0/3");
    let summer = made(2023, 1, 15, 12, 0, -1);
    assert_eq!(made(2023, 1, 15, 12, 0, 0), summer + 3600);
}

fn the_hour_that_comes_twice_can_be_told_apart() {
    zone(BERLIN);
    let first = made(2023, 10, 29, 2, 30, 1);
    assert_eq!(made(2023, 10, 29, 2, 30, 0), first + 3600);
    let undecided = made(2023, 10, 29, 2, 30, -1);
    assert!(undecided == first || undecided == first + 3600);
}

fn the_hour_that_is_left_out_is_moved() {
    zone(BERLIN);
    let before = made(2023, 3, 26, 1, 30, 0);
    assert_eq!(made(2023, 3, 26, 2, 30, 0), before + 3600);
    assert_eq!(made(2023, 3, 26, 2, 30, 1), before);
    assert_eq!(made(2023, 3, 26, 3, 30, -1), before + 3600);
}

fn summer_time_that_a_zone_does_not_have_is_an_hour() {
    zone(c"UTC0");
    assert_eq!(made(2023, 1, 15, 12, 0, 1), made(2023, 1, 15, 11, 0, 0));
}

fn zone_names_outlive_their_zone() {
    zone(BERLIN);
    let winter = local(1_700_000_000);
    let summer = local(1_690_000_000);
    for name in [c"EST5EDT", c"UTC0", c"<+0330>-3:30", c"XYZ3"] {
        zone(name);
        local(0);
    }
    assert_eq!(print(c"%Z", &winter), "CET");
    assert_eq!(print(c"%Z", &summer), "CEST");
}

fn padding_can_be_chosen() {
    zone(c"UTC0");
    // 2023-03-04 05:06:07, a Saturday
    let broken = local(1_677_906_367);
    assert_eq!(print(c"%d|%-d|%_d|%0d", &broken), "04|4| 4|04");
    assert_eq!(print(c"%e|%-e|%_e|%0e", &broken), " 4|4| 4|04");
    assert_eq!(print(c"%m %-m %_m %-H:%-M:%-S", &broken), "03 3  3 5:6:7");
    assert_eq!(print(c"%j %-j %_j", &broken), "063 63  63");
    assert_eq!(print(c"%k|%-k|%0k|%I|%-I|%l", &broken), " 5|5|05|05|5| 5");
    assert_eq!(
        print(c"%y %-y %C %Y %G %g %u %w", &broken),
        "23 23 20 2023 2023 23 6 6"
    );
    assert_eq!(
        print(c"%D %F %T %R %r %p %P", &broken),
        "03/04/23 2023-03-04 05:06:07 05:06 05:06:07 AM AM am"
    );
    assert_eq!(print(c"%s %n%t%%", &broken), "1677906367 \n\t%");
    let mut midnight = broken;
    midnight.tm_hour = 0;
    assert_eq!(print(c"%I %l %p", &midnight), "12 12 AM");
    midnight.tm_hour = 12;
    assert_eq!(print(c"%I %p", &midnight), "12 PM");
    let mut small = [0 as c_char; 4];
    assert_eq!(
        sys!(strftime(small.as_mut_ptr(), 4, c"%Y".as_ptr(), &broken)),
        0
    );
}

fn weeks_are_numbered() {
    zone(c"UTC0");
    for (at, expected) in [
        (1_672_531_200, "2023-01-01 2022-W52-7 01 00"),
        (1_704_067_200, "2024-01-01 2024-W01-1 00 01"),
        (1_735_603_200, "2024-12-31 2025-W01-2 52 53"),
        (1_609_459_200, "2021-01-01 2020-W53-5 00 00"),
    ] {
        assert_eq!(print(c"%F %G-W%V-%u %U %W", &local(at)), expected);
    }
}

fn years_beyond_four_digits_do_not_fit_asctime() {
    zone(c"UTC0");
    let mut buffer = [7 as c_char; 32];
    let broken = local(1_690_000_000);
    assert!(!more::asctime_r(&broken, buffer.as_mut_ptr()).is_null());
    let text: String = buffer[..25].iter().map(|&c| c as u8 as char).collect();
    assert_eq!(text, "Sat Jul 22 04:26:40 2023\n");
    assert_eq!(buffer[25..27], [0, 7], "26 bytes and no more");
    let far = local(253_402_300_800);
    more::set_errno(0);
    assert!(more::asctime_r(&far, buffer.as_mut_ptr()).is_null());
    assert_eq!(errno(), libc::EOVERFLOW);
    assert_eq!(buffer[26], 7);
}
