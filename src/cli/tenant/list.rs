//! `fleet tenant list` and `show`: what is declared and what is, a tenant a line, or one in full.

use std::time::Duration;

use serde_json::{Value, json};

use super::seen::{self, Tenant};
use super::{named, parallel};
use crate::cli::table::{Cell, Column, Table, Tone};
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::tenant::system::System;
use crate::host::tenant::{child, home, store};
use crate::host::{clock, logind};
use crate::names::TenantId;
use crate::snapshot::Fact;
use crate::tenant::Fleet;
use crate::tenant::wire::{Request, Told};
use crate::tenant::words::{clean_block, clean_line};

/// How long a tenant may take to say how it is.
const FACTS: Duration = Duration::from_secs(10);

/// Arguments of `fleet tenant list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `fleet tenant show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The tenant
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let tenants = seen::tenants()?;
    let facts = look(tenants, context)?;
    if args.json {
        let (host, time) = (context.host()?, clock::rfc3339(clock::unix()));
        context.out.json(&json!({ "schema_version": 1, "host": host, "time": time, "tenants": facts }))?;
    } else {
        print(&facts, context);
    }
    Ok(Answer::Yes)
}

/// Shows one.
pub fn show(args: ShowArgs, context: &Context) -> Result<Answer> {
    let name = named(&args.name)?;
    let tenant = seen::tenants()?.into_iter().find(|tenant| tenant.name == name.as_str());
    let Some(tenant) = tenant else {
        return Err(Error::input(format!("there is no tenant {name}")).hint("fleet tenant list"));
    };
    let mut facts = look(vec![tenant.clone()], context)?;
    let mut value = facts.pop().unwrap_or_default();
    more(&name, &tenant, &mut value);
    if args.json {
        let mut whole = json!({ "schema_version": 1, "time": clock::rfc3339(clock::unix()) });
        if let (Some(whole), Some(value)) = (whole.as_object_mut(), value.as_object()) {
            whole.extend(value.clone());
        }
        context.out.json(&whole)?;
    } else {
        for (key, value) in value.as_object().into_iter().flatten() {
            let lines = match value {
                Value::Array(list) => list.iter().flat_map(lines).collect(),
                other => lines(other),
            };
            for (at, line) in lines.iter().enumerate() {
                context.out.line(format_args!("{:<12} {line}", if at == 0 { key } else { "" }));
            }
        }
    }
    Ok(Answer::Yes)
}

/// A value for people.
fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec!["not known".to_owned()],
        Value::String(text) => text.lines().map(clean_line).collect(),
        Value::Object(map) => {
            let known = map.iter().filter(|(_, value)| !value.is_null());
            let parts: Vec<String> =
                known.map(|(key, value)| format!("{key} {}", lines(value).join(" "))).collect();
            vec![if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }]
        }
        other => vec![other.to_string()],
    }
}

fn look(tenants: Vec<Tenant>, context: &Context) -> Result<Vec<Value>> {
    let (system, host) = (System::connect()?, context.host()?);
    Ok(parallel::each(tenants, |tenant| facts(&tenant, &system, host.as_str()), |_| {}))
}

/// What is known of one.
fn facts(tenant: &Tenant, system: &System, host: &str) -> Value {
    let mut reasons: Vec<String> = Vec::new();
    let mut value = json!({
        "tenant_id": tenant.name,
        "host": host,
        "declared": tenant.declared.is_some(),
        "state": match &tenant.declared {
            Some(Ok(declared)) => Some(declared.state.as_str()),
            Some(Err(_)) | None => None,
        },
        "user": null, "uid": null, "linger": null, "manager": null, "holder": null, "agents": null, "drift": null,
        "problems": [],
    });
    reasons.extend(tenant.wrong().map(|error| error.message.clone()));
    match &tenant.who {
        Err(_) if tenant.wrong().is_some() => {}
        Err(why) => reasons.push(why.clone()),
        Ok(who) => {
            value["user"] = json!(who.name);
            value["uid"] = json!(who.uid);
            let mut known = |fact: Fact<Value>| match fact {
                Fact::Known(value) => value,
                Fact::Unknown(why) => {
                    reasons.push(why);
                    Value::Null
                }
            };
            value["linger"] = known(map(logind::linger(&who.name)));
            value["manager"] = known(map(system.manager_of(who.uid)));
            if !tenant.is_absent() {
                match child::ask(system, who, Request::Facts, FACTS) {
                    Ok(reply) => {
                        reasons.extend(reply.error.map(Told::whole));
                        let said = reply.value.unwrap_or_default();
                        if said["fleet"] == json!(false) {
                            reasons.push("it has no roster".to_owned());
                        }
                        value["holder"] = said["holder"]["active"].clone();
                        for key in ["agents", "drift"] {
                            value[key] = said[key].clone();
                        }
                        if said["problems"].is_array() {
                            value["problems"] = said["problems"].clone();
                        }
                    }
                    Err(error) => reasons.push(error.to_string()),
                }
            }
        }
    }
    value["reasons"] = json!(reasons);
    value
}

fn map<T: Into<Value>>(fact: Fact<T>) -> Fact<Value> {
    match fact {
        Fact::Known(value) => Fact::Known(value.into()),
        Fact::Unknown(why) => Fact::Unknown(why),
    }
}

/// What only `show` tells. A roster's text is never among it: it may hold secrets.
fn more(name: &TenantId, tenant: &Tenant, value: &mut Value) {
    if let Ok(who) = &tenant.who {
        value["home"] = json!(who.home);
        value["shell"] = json!(who.shell);
        let home = home::look(&who.home).ok().flatten();
        value["home_mode"] = json!(home.map(|home| format!("{:04o}", home.mode)));
    }
    if let Some(Ok(declared)) = &tenant.declared {
        value["roster"] = json!(match &declared.fleet {
            Fleet::Own => "the tenant's own".to_owned(),
            Fleet::Profile(profile) => format!("began as the profile {}", profile.name()),
            Fleet::Root(_) => "the declaration's".to_owned(),
        });
        value["limits"] = json!({
            "memory_max": declared.limits.memory_max,
            "tasks_max": declared.limits.tasks_max,
            "cpu_quota": declared.limits.cpu_quota,
        });
    }
    if let Ok(Some(book)) = store::book(name) {
        value["made_by_us"] =
            json!({ "user": book.user_by_us, "home": book.home_by_us, "linger": book.linger_by_us });
    }
}

fn print(facts: &[Value], context: &Context) {
    let out = &context.out;
    if facts.is_empty() {
        out.note("no tenant is declared, and no user runs a fleet; to begin: fleet tenant add NAME --profile minimal");
        return;
    }
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([
        column("TENANT", 0),
        column("UID", 4),
        column("DECLARED", 2),
        column("LINGER", 3),
        column("MANAGER", 2),
        column("HOLDER", 1),
        column("AGENTS", 0),
        column("DRIFT", 1),
    ]);
    for value in facts {
        let text = |key: &str| value[key].as_str().map_or_else(|| "?".to_owned(), clean_line);
        let count = |key: &str| value["agents"][key].as_u64();
        let agents = match (count("healthy"), count("total")) {
            (Some(healthy), Some(total)) => {
                let tone = if healthy == total { Tone::Good } else { Tone::Warn };
                Cell::toned(format!("{healthy}/{total}"), tone)
            }
            _ => Cell::from("?"),
        };
        table.row([
            Cell::from(text("tenant_id")),
            value["uid"].as_u64().map_or_else(|| Cell::from("-"), Cell::from),
            match (value["declared"].as_bool(), value["state"].as_str()) {
                (Some(true), Some(state)) => Cell::from(state),
                (Some(true), None) => Cell::toned("WRONG", Tone::Bad),
                _ => Cell::toned("no", Tone::Warn),
            },
            Cell::from(match value["linger"].as_bool() {
                Some(true) => "on",
                Some(false) => "off",
                None => "?",
            }),
            Cell::from(text("manager")),
            Cell::from(text("holder")),
            agents,
            value["drift"].as_u64().map_or_else(
                || Cell::from("?"),
                |drift| Cell::from(if drift == 0 { "-".to_owned() } else { drift.to_string() }),
            ),
        ]);
    }
    for line in table.lines(out.width(), out.colour()) {
        out.line(line);
    }
    for value in facts {
        for reason in value["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            out.note(format_args!("{}: {}", value["tenant_id"].as_str().unwrap_or("?"), clean_block(reason)));
        }
    }
}
