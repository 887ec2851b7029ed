//! Jobs in batches: all queued at once, each followed by its job's path to its own result, the whole
//! bounded in time.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use zbus::{Message, OwnedObjectPath};

use super::connection::{UserManager, bounded, manager};
use super::error::SystemdError;
use super::exchange::{Arrival, call, converse};
use super::proxy::{JobRemoved, MANAGER, MANAGER_PATH};
use crate::host::interrupt::point;

/// What a job is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobVerb {
    /// Start it; nothing where it is active.
    Start,
    /// Stop it.
    Stop,
    /// Stop it where it is active, and start it in any case.
    Restart,
}

/// One job to queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The unit's name.
    pub unit: String,
    /// What to do with it.
    pub verb: JobVerb,
    /// What comes with it.
    pub along: Along,
}

/// What a job brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// Jobs of all that its unit requires and wants, and of what those want in turn.
    Required,
    /// Nothing: what its unit requires is there, or has a job of its own. Order is kept, and so is that
    /// the job fails where one of what it requires does.
    Nothing,
}

impl Along {
    fn mode(self) -> &'static str {
        match self {
            Self::Required => "replace",
            Self::Nothing => "ignore-requirements",
        }
    }
}

/// What became of one requested job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutcome {
    /// The unit's name.
    pub unit: String,
    /// What was asked for.
    pub verb: JobVerb,
    /// How it ended.
    pub result: JobResult,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// The job did its work. A unit whose condition (`ExecCondition=` too) was not met is done as
    /// well, and not active: where that can be, look at its state.
    Done,
    /// There was nothing to do.
    Skipped,
    /// The unit failed; also where its own `TimeoutStartSec=` was up.
    Failed,
    /// A unit it depends on failed.
    Dependency,
    /// The job's own time was up (`JobTimeoutSec=`).
    Timeout,
    /// Another job took its place, or somebody canceled it.
    Canceled,
    /// Another word of systemd's: `invalid`, `assert`, `unsupported`, `collected`, `once`, `frozen`.
    Ended(String),
    /// The manager did not queue it; what it said.
    Refused(String),
    /// It had not ended when our time was up; it may still.
    Never,
    /// The connection broke before the result was known; how.
    Unknown(String),
}

/// A job that waits or runs in the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its number, for [`UserManager::cancel`].
    pub id: u32,
    /// Its unit.
    pub unit: String,
    /// systemd's word: `start`, `stop`, `restart`, `verify-active`, and so on.
    pub kind: String,
    /// `waiting` for others, or `running`.
    pub state: String,
}

impl JobVerb {
    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
        }
    }
}

impl fmt::Display for JobVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        })
    }
}

impl JobRequest {
    /// A job that starts `unit`.
    pub fn start(unit: impl Into<String>) -> Self {
        Self { unit: unit.into(), verb: JobVerb::Start, along: Along::Required }
    }

    /// A job that stops `unit`.
    pub fn stop(unit: impl Into<String>) -> Self {
        Self { unit: unit.into(), verb: JobVerb::Stop, along: Along::Required }
    }

    /// A job that restarts `unit`.
    pub fn restart(unit: impl Into<String>) -> Self {
        Self { unit: unit.into(), verb: JobVerb::Restart, along: Along::Required }
    }

    /// The same job, which brings nothing along.
    pub fn alone(self) -> Self {
        Self { along: Along::Nothing, ..self }
    }
}

impl JobResult {
    /// Whether the unit is now as asked.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }

    /// Whether nobody can say what became of it: the connection broke.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    fn from_word(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "skipped" => Self::Skipped,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            "timeout" => Self::Timeout,
            "canceled" => Self::Canceled,
            other => Self::Ended(other.to_owned()),
        }
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Skipped => f.write_str("nothing to do"),
            Self::Failed => f.write_str("failed"),
            Self::Dependency => f.write_str("a unit it needs failed"),
            Self::Timeout => f.write_str("the job's own time was up"),
            Self::Canceled => f.write_str("canceled by another job"),
            Self::Ended(word) => write!(f, "ended as {word}"),
            Self::Refused(said) => write!(f, "refused: {said}"),
            Self::Never => f.write_str("not ended yet when the time was up"),
            Self::Unknown(why) => write!(f, "not known: {why}"),
        }
    }
}

impl UserManager {
    /// Queues all `requests` at once and waits until each has its result, but no longer than `bound`.
    ///
    /// The outcomes stand in the order of the requests; `on_each` hears of each as it comes. An error
    /// means that nothing was queued.
    pub fn jobs(
        &self,
        requests: &[JobRequest],
        bound: Duration,
        on_each: impl FnMut(&JobOutcome),
    ) -> Result<Vec<JobOutcome>, SystemdError> {
        let what = "queue jobs with the user manager";
        let calls = requests
            .iter()
            .map(|r| call(MANAGER_PATH, MANAGER, r.verb.method(), &(r.unit.as_str(), r.along.mode())))
            .collect::<zbus::Result<Vec<Message>>>()
            .map_err(|error| SystemdError::from_call(what, error))?;
        bounded(what, self.limit, self.hear_of_jobs())?;
        point("jobs");
        let mut batch = Batch::new(requests, on_each);
        let end = bounded(what, bound, async {
            converse(&self.connection, &calls, |arrival| match batch.take(arrival) {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
            .await
        });
        Ok(match end {
            Ok(()) => batch.close(&JobResult::Unknown("no result came".to_owned())),
            Err(SystemdError::Late { .. }) => batch.close(&JobResult::Never),
            Err(error) => batch.close(&JobResult::Unknown(error.to_string())),
        })
    }

    /// The jobs that wait or run at this moment.
    pub fn queued(&self) -> Result<Vec<QueuedJob>, SystemdError> {
        let rows = bounded("list the user manager's jobs", self.limit, async {
            manager(&self.connection).await?.list_jobs().await
        })?;
        let job = |(id, unit, kind, state, _, _)| QueuedJob { id, unit, kind, state };
        Ok(rows.into_iter().map(job).collect())
    }

    /// Cancels one of them.
    pub fn cancel(&self, job: &QueuedJob) -> Result<(), SystemdError> {
        bounded(&format!("cancel the {} job of {}", job.kind, job.unit), self.limit, async {
            manager(&self.connection).await?.cancel_job(job.id).await
        })
    }
}

/// The bookkeeping of a batch: which request waits for which job.
///
/// A job may be removed before the answer that names it is read, and several requests may share one.
struct Batch<'a, F> {
    requests: &'a [JobRequest],
    results: Vec<Option<JobResult>>,
    waiting: HashMap<OwnedObjectPath, Vec<usize>>,
    removed: HashMap<OwnedObjectPath, JobResult>,
    open: usize,
    on_each: F,
}

impl<'a, F: FnMut(&JobOutcome)> Batch<'a, F> {
    fn new(requests: &'a [JobRequest], on_each: F) -> Self {
        Self {
            requests,
            results: vec![None; requests.len()],
            waiting: HashMap::new(),
            removed: HashMap::new(),
            open: requests.len(),
            on_each,
        }
    }

    /// Books what arrived; how many requests are still open.
    fn take(&mut self, arrival: Arrival) -> usize {
        match arrival {
            Arrival::Answer(place, Ok(message)) => match message.body().deserialize::<OwnedObjectPath>() {
                Ok(job) => self.queued(place, job),
                Err(error) => self.finish(place, JobResult::Unknown(error.to_string())),
            },
            Arrival::Answer(place, Err(error)) => {
                let verdict = match SystemdError::from_call("queue a job", error) {
                    SystemdError::Answered { message, .. } => JobResult::Refused(message),
                    SystemdError::Denied { seen, .. } | SystemdError::NoService { seen, .. } => {
                        JobResult::Refused(seen)
                    }
                    other => JobResult::Unknown(other.to_string()),
                };
                self.finish(place, verdict);
            }
            Arrival::Signal(message) => {
                if let Some(signal) = JobRemoved::from_message(message)
                    && let Ok(args) = signal.args()
                {
                    self.ended(args.job().clone().into(), JobResult::from_word(args.result()));
                }
            }
        }
        self.open
    }

    fn queued(&mut self, place: usize, job: OwnedObjectPath) {
        point("queued");
        match self.removed.get(&job).cloned() {
            Some(result) => self.finish(place, result),
            None => self.waiting.entry(job).or_default().push(place),
        }
    }

    fn ended(&mut self, job: OwnedObjectPath, result: JobResult) {
        for place in self.waiting.remove(&job).unwrap_or_default() {
            self.finish(place, result.clone());
        }
        self.removed.insert(job, result);
    }

    fn finish(&mut self, place: usize, result: JobResult) {
        let (Some(slot), Some(request)) = (self.results.get_mut(place), self.requests.get(place)) else {
            return;
        };
        if slot.is_none() {
            (self.on_each)(&outcome(request, result.clone()));
            *slot = Some(result);
            self.open -= 1;
            point("ended");
        }
    }

    /// Gives every request that is still open that result.
    fn close(mut self, rest: &JobResult) -> Vec<JobOutcome> {
        for place in 0..self.requests.len() {
            self.finish(place, rest.clone());
        }
        let results = self.results.into_iter().flatten();
        self.requests.iter().zip(results).map(|(request, result)| outcome(request, result)).collect()
    }
}

fn outcome(request: &JobRequest, result: JobResult) -> JobOutcome {
    JobOutcome { unit: request.unit.clone(), verb: request.verb, result }
}

#[cfg(test)]
mod tests;
