//! Where no thread may be started any more, in ours or in a library's code, the program ends with that as its
//! answer, and not with a panic's words.

use std::process::ExitCode;

use crate::error::{Error, Kind};
use crate::host::room;

/// Has `say` tell it. Other panics are told as ever.
pub fn tell_by(say: impl Fn(&Error) -> ExitCode + Send + Sync + 'static) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        if !text.is_some_and(room::is_missed_by) {
            return before(panic);
        }
        // The first thread that meets it tells it, also where a panic would end no more than that thread.
        let told = say(&room::error()) == ExitCode::SUCCESS;
        std::process::exit(if told { 0 } else { Kind::Machine.code() });
    }));
}
