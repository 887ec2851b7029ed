//! A manager that does what a test says, at the other end of a socket pair.
//!
//! It answers call by call in exactly the order the test wants, signals among them, which a served
//! interface would leave to its tasks.

use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_lite::StreamExt;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Guid, Message, MessageStream, ObjectPath};

use super::connection::{PING, UserManager};
use super::proxy::{MANAGER, MANAGER_PATH};

/// What a test makes of one call.
pub(in crate::host) struct Turn {
    call: Message,
    out: Vec<Message>,
    hang_up: bool,
}

impl Turn {
    /// The method called.
    pub(in crate::host) fn method(&self) -> String {
        self.call.header().member().map(ToString::to_string).unwrap_or_default()
    }

    /// The object it was called on.
    pub(in crate::host) fn path(&self) -> String {
        self.call.header().path().map(ToString::to_string).unwrap_or_default()
    }

    /// The call's arguments.
    pub(in crate::host) fn args<T>(&self) -> T
    where
        T: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        self.call.body().deserialize().expect("the arguments the interface has")
    }

    /// The call itself, to be answered in a later turn.
    pub(in crate::host) fn call(&self) -> Message {
        self.call.clone()
    }

    /// Answers this call.
    pub(in crate::host) fn reply<B: serde::Serialize + zbus::DynamicType>(&mut self, body: &B) {
        self.reply_to(&self.call(), body);
    }

    /// Answers that call.
    pub(in crate::host) fn reply_to<B: serde::Serialize + zbus::DynamicType>(
        &mut self,
        call: &Message,
        body: &B,
    ) {
        self.out.push(Message::method_return(&call.header()).build(body).expect("an answer"));
    }

    /// Answers with the object of job `id`.
    pub(in crate::host) fn queued(&mut self, id: u32) {
        self.reply(&job_path(id));
    }

    /// Answers this call with an error.
    pub(in crate::host) fn refuse(&mut self, name: &str, said: &str) {
        let error = Message::error(&self.call.header(), name).build(&said);
        self.out.push(error.expect("an error"));
    }

    /// Tells that job `id` of `unit` has ended.
    pub(in crate::host) fn removed(&mut self, id: u32, unit: &str, result: &str) {
        self.signal(MANAGER_PATH, MANAGER, "JobRemoved", &(id, job_path(id), unit, result));
    }

    /// Sends a signal.
    pub(in crate::host) fn signal<B: serde::Serialize + zbus::DynamicType>(
        &mut self,
        path: &str,
        interface: &str,
        name: &str,
        body: &B,
    ) {
        self.out.push(Message::signal(path, interface, name).build(body).expect("a signal"));
    }

    /// Breaks the connection after what was said in this turn.
    pub(in crate::host) fn hang_up(&mut self) {
        self.hang_up = true;
    }
}

/// The object of job `id`.
pub(in crate::host) fn job_path(id: u32) -> ObjectPath<'static> {
    ObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{id}")).expect("a job's path")
}

/// The thread on which a fake answers; it ends when its client is gone.
pub(in crate::host) struct Fake {
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Fake {
    /// A user manager that listens: every other call than the question for that is handed to `play`.
    pub(in crate::host) fn manager(mut play: impl FnMut(&mut Turn) + Send + 'static) -> (UserManager, Self) {
        let listens = move |turn: &mut Turn| if turn.method() == PING { turn.reply(&()) } else { play(turn) };
        let (connection, fake) = Self::connection(listens);
        (UserManager::over(connection), fake)
    }

    /// The client's end of a connection to a fake.
    pub(in crate::host) fn connection(play: impl FnMut(&mut Turn) + Send + 'static) -> (Connection, Self) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let (fake, ready) = Self::serve(theirs, play);
        let client = zbus::block_on(Builder::unix_stream(ours).p2p().build()).expect("a connection");
        ready.recv().expect("the fake listens");
        (client, fake)
    }

    /// Serves one client; the receiver hears when the fake would not miss a call any more.
    pub(in crate::host) fn serve(
        stream: UnixStream,
        play: impl FnMut(&mut Turn) + Send + 'static,
    ) -> (Self, mpsc::Receiver<()>) {
        let (tell, ready) = mpsc::channel();
        let thread = std::thread::spawn(move || zbus::block_on(serve(stream, play, tell)));
        (Self { thread: Some(thread) }, ready)
    }

    /// The methods that were called, once the client is gone.
    pub(in crate::host) fn calls(mut self) -> Vec<String> {
        self.thread.take().expect("it was not asked before").join().expect("the fake played its part")
    }
}

async fn serve(stream: UnixStream, mut play: impl FnMut(&mut Turn), tell: mpsc::Sender<()>) -> Vec<String> {
    let builder = Builder::unix_stream(stream).server(Guid::generate()).p2p();
    let connection = builder.build().await.expect("a served connection");
    let mut calls = MessageStream::from(&connection);
    let _ = tell.send(());
    let mut log = Vec::new();
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() != Type::MethodCall {
            continue;
        }
        let mut turn = Turn { call, out: Vec::new(), hang_up: false };
        log.push(turn.method());
        play(&mut turn);
        // A client that has given up is no failure of the fake.
        let _ = connection.send_all(&turn.out).await;
        if turn.hang_up {
            break;
        }
    }
    drop(calls);
    let _ = connection.close().await;
    log
}
