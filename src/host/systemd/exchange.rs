//! Many calls in one round trip: all go out at once, and answers and signals come back through one
//! stream, in the order in which the other side sent them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::ControlFlow;

use futures_lite::{StreamExt, future};
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream};

use super::error::SystemdError;
use super::proxy::SYSTEMD;

/// Something that came back.
pub(super) enum Arrival {
    /// The answer to the call at that place.
    Answer(usize, zbus::Result<Message>),
    /// A signal.
    Signal(Message),
}

/// A call of systemd, not yet sent.
pub(super) fn call<B>(path: &str, interface: &str, method: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    Message::method_call(path, method).destination(SYSTEMD).interface(interface).build(body)
}

/// Sends `calls` and hands over what comes back until `take` has enough or the connection ends.
///
/// The stream is read while the calls are still being written, so that neither side can block the
/// other, and it exists before the first is sent, so that nothing is missed.
pub(super) async fn converse(
    connection: &Connection,
    calls: &[Message],
    mut take: impl FnMut(Arrival) -> ControlFlow<()>,
) -> zbus::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let mut stream = MessageStream::from(connection);
    let places: HashMap<NonZeroU32, usize> =
        calls.iter().enumerate().map(|(place, call)| (call.primary_header().serial_num(), place)).collect();
    let send = connection.send_all(calls);
    let receive = async {
        while let Some(message) = stream.next().await {
            let message = message?;
            let arrival = match message.message_type() {
                Type::Signal => Arrival::Signal(message),
                Type::MethodCall => continue,
                Type::MethodReturn | Type::Error => {
                    let Some(place) = message.header().reply_serial().and_then(|s| places.get(&s)) else {
                        continue;
                    };
                    let failed = message.message_type() == Type::Error;
                    Arrival::Answer(*place, if failed { Err(message.into()) } else { Ok(message) })
                }
            };
            if take(arrival).is_break() {
                return Ok(());
            }
        }
        Err(SystemdError::ended())
    };
    future::try_zip(send, receive).await.map(drop)
}

/// Sends `calls` and collects their answers, in the order of the calls.
pub(super) async fn answers(
    connection: &Connection,
    calls: &[Message],
) -> zbus::Result<Vec<zbus::Result<Message>>> {
    let mut collected: Vec<Option<zbus::Result<Message>>> = calls.iter().map(|_| None).collect();
    let mut missing = calls.len();
    converse(connection, calls, |arrival| {
        if let Arrival::Answer(place, answer) = arrival
            && let Some(slot) = collected.get_mut(place)
            && slot.replace(answer).is_none()
        {
            missing -= 1;
        }
        if missing == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    Ok(collected.into_iter().map(|slot| slot.unwrap_or_else(|| Err(SystemdError::ended()))).collect())
}
