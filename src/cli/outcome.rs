//! What the verbs that change something did, as JSON: the plan that was carried out, each job's end, what the
//! machine refused. docs/usage/apply.md describes it.

use serde_json::{Value, json};

use super::carry::Carried;
use super::{Answer, Context, plan};
use crate::apply::JobEnd;
use crate::error::Error;
use crate::names::{AgentName, HostName, TenantId};

/// What `apply` and `init` did.
pub fn of_carried(carried: &Carried, answer: &Answer, context: &Context) -> Value {
    let mut value = plan::as_json(&carried.plan, &carried.ground.identity, &context.layout);
    value["lint"] = carried.linted.as_json();
    value["jobs"] = carried.report.jobs.iter().map(of_job).collect();
    value["refused"] = carried.report.refused.iter().map(of_error).collect();
    value["ok"] = json!(*answer == Answer::Yes);
    value
}

/// What `start`, `stop` and `restart` did; `untouched` are units that were left as they were, and why.
pub fn of_jobs(
    (tenant, host): (&TenantId, &HostName),
    ends: &[JobEnd],
    untouched: &[(String, String)],
    answer: &Answer,
) -> Value {
    let left = |(unit, why): &(String, String)| json!({ "unit": unit, "agent": AgentName::from_unit(unit), "reason": why });
    json!({
        "schema_version": 1,
        "tenant_id": tenant,
        "host": host,
        "jobs": ends.iter().map(of_job).collect::<Vec<_>>(),
        "untouched": untouched.iter().map(left).collect::<Vec<_>>(),
        "ok": *answer == Answer::Yes,
    })
}

fn of_job(end: &JobEnd) -> Value {
    let outcome = &end.outcome;
    json!({
        "unit": outcome.unit,
        "agent": AgentName::from_unit(&outcome.unit),
        "verb": outcome.verb.to_string(),
        "ok": end.is_good(),
        "result": outcome.result.to_string(),
        "after": end.after.as_ref().map(|after| &after.words),
        "lines": end.lines,
    })
}

fn of_error(error: &Error) -> Value {
    json!({ "message": error.message, "hints": error.hints })
}
