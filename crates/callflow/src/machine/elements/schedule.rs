//! `<Schedule>`: runs what is inside when now is at such a time.

use chrono_tz::Tz;

use super::{Cut, Cx, Flow, Run};
use crate::schedule::{CLOSED, OfficeHours, Schedule};

#[derive(Debug)]
pub(super) struct ScheduleBlock;

/// The account's.
const TIME_ZONE: &str = "time_zone";

impl Run for ScheduleBlock {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let account = || cx.variables.get(TIME_ZONE).and_then(|name| name.parse().ok());
        let tz = cx.args.time_zone("tz").or_else(account).unwrap_or(Tz::UTC);
        let office = cx.variables.get(CLOSED).map(OfficeHours::parse).unwrap_or_default();
        let schedule = Schedule {
            days: cx.args.weekdays("dow"),
            hours: cx.args.hours("time"),
            dates: cx.args.dates("date"),
            office: cx.args.given_flag("office_hours").map(|open| (open, &office)),
        };
        match schedule.matches(cx.now.utc, tz) {
            true => Flow::Block(cx.node.children.clone()),
            false => Flow::done("Not at this time"),
        }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}
