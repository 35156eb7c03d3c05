//! The rules on a real socket, HTTP/1.1: every fault happens on the wire.

use std::convert::Infallible;
use std::error::Error;
use std::future::{self, Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::latency::under_way;
use super::reply::{Behaviour, Call, Reply};
use super::rules::Request;
use super::shared::Shared;
use super::{Config, Tracked};

/// The most bytes of a request's body that are read; none of the platform's calls needs a hundredth of it.
pub const MAX_REQUEST_BODY: usize = 64 * 1024;

/// A sandbox that can be served on any number of listeners.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    log: Option<mpsc::UnboundedSender<Call>>,
}

impl Sandbox {
    /// A sandbox whose time begins now.
    pub fn new(config: Config) -> Self {
        Self { shared: Arc::new(Shared::new(config)), log: None }
    }

    /// The same, and each call is sent to this channel as it is answered.
    pub fn with_log(self, log: mpsc::UnboundedSender<Call>) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls()
    }

    /// Whether events of an approval reach this app.
    pub fn is_subscribed(&self, one: &Tracked) -> bool {
        self.shared.is_subscribed(one)
    }
}

/// Answers what arrives at a listener until `shutdown` is ready; open connections end with it.
pub async fn serve(listener: TcpListener, sandbox: Sandbox, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, sandbox.clone()));
                }
                // Out of file descriptors, most likely: some come free when connections end.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Why a connection ends before its answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dropped {
    Reset,
    Cut,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset on purpose",
            Self::Cut => "cut on purpose",
        })
    }
}

impl Error for Dropped {}

type Body = UnsyncBoxBody<Bytes, Dropped>;
type Response = hyper::Response<Body>;

async fn serve_connection(stream: TcpStream, sandbox: Sandbox) {
    // An answer in two packets would wait for the client's acknowledgement of the first.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| -> Pin<Box<dyn Future<Output = _> + Send>> {
        Box::pin(respond(sandbox.clone(), request))
    });
    let mut connection =
        http1::Builder::new().title_case_headers(true).serve_connection(TokioIo::new(stream), service);
    // Without hyper's shutdown: it would end the connection in order where a reset is wanted.
    let Err(error) = poll_fn(|context| connection.poll_without_shutdown(context)).await else { return };
    let dropped = error.source().and_then(|source| source.downcast_ref::<Dropped>());
    if dropped == Some(&Dropped::Reset) {
        // Closing a socket that must not linger sends a reset instead of an orderly end.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn respond(sandbox: Sandbox, request: hyper::Request<Incoming>) -> Result<Response, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_REQUEST_BODY).collect().await else {
        return Ok(too_large());
    };
    let body = body.to_bytes();
    let authorization =
        head.headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let (there, back) = sandbox.shared.draw_latency();
    under_way(there).await;
    let reply = sandbox.shared.answer(&Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        authorization: authorization.as_deref(),
        body: &body,
    });
    if let Some(log) = &sandbox.log {
        // Whoever listened may be gone; the call is answered all the same.
        let _ = log.send(reply.call.clone());
    }
    under_way(back).await;
    if let Behaviour::Late(late) = reply.behaviour {
        sleep(late).await;
    }
    send(reply)
}

fn too_large() -> Response {
    let mut response = Response::new(full(Bytes::from_static(b"413 request body too large")));
    *response.status_mut() = hyper::StatusCode::PAYLOAD_TOO_LARGE;
    response
}

/// Puts a reply on the wire as it is meant to behave.
fn send(reply: Reply) -> Result<Response, Dropped> {
    let Reply { status, headers, body, behaviour, call: _ } = reply;
    let length = body.len();
    let (length, body) = match behaviour {
        Behaviour::Reset => return Err(Dropped::Reset),
        Behaviour::Plain | Behaviour::Late(_) => (length, full(Bytes::from(body))),
        Behaviour::Padded(padding) => (length.saturating_add(padding), padded(Bytes::from(body), padding)),
        Behaviour::Cut => (length, cut(Bytes::from(body))),
    };
    let mut builder = hyper::Response::builder().status(status).header(CONTENT_LENGTH, length);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    // The rules write every header themselves, so this cannot fail; if it ever does, it must be seen.
    builder.body(body).map_err(|_| Dropped::Cut)
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The bytes and then so many spaces, made as they are sent.
fn padded(bytes: Bytes, padding: usize) -> Body {
    const SPACES: &[u8] = &[b' '; 64 * 1024];
    let spaces = stream::unfold(padding, |left| {
        let chunk = Bytes::from_static(SPACES.get(..left).unwrap_or(SPACES));
        let next = (left > 0).then(|| (Ok(Frame::data(chunk.clone())), left.saturating_sub(chunk.len())));
        future::ready(next)
    });
    StreamBody::new(stream::once(future::ready(Ok(Frame::data(bytes)))).chain(spaces)).boxed_unsync()
}

/// Half of the bytes and then the end of the connection.
fn cut(bytes: Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let end = stream::once(async {
        // hyper sends what it has when it must wait; an error at once would take the first half with it.
        sleep(Duration::from_millis(20)).await;
        Err(Dropped::Cut)
    });
    StreamBody::new(stream::once(future::ready(Ok(Frame::data(half)))).chain(end)).boxed_unsync()
}

/// A sandbox that runs on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it answers, `http://127.0.0.1:PORT`.
    pub base_url: String,
    sandbox: Sandbox,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.sandbox.calls()
    }

    /// Whether events of an approval reach this app.
    pub fn is_subscribed(&self, one: &Tracked) -> bool {
        self.sandbox.is_subscribed(one)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the thread has ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Starts a sandbox on a thread of its own, with its own runtime; it takes calls when this returns. Port 0 is
/// any free one.
pub fn start(config: Config, listen: SocketAddr) -> io::Result<Running> {
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let sandbox = Sandbox::new(config);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = sandbox.clone();
    let thread = std::thread::Builder::new().name("sandbox".into()).spawn(move || {
        runtime.block_on(serve(listener, served, async {
            let _ = stopped.await;
        }));
    })?;
    Ok(Running { base_url, sandbox, stop: Some(stop), thread: Some(thread) })
}
