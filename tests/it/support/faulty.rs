//! What can go wrong with a call to a service, made to happen: at which call, how often, and how.

use std::{
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    header::{CONTENT_TYPE, ETAG, HeaderValue},
};
use s3s::{Body, HttpResponse, service::S3Service};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and answered with this status and code.
    Status(u16, &'static str),
    /// It is not done, and answered with status 200 and an error in the body.
    ErrorInside,
    /// The connection closes at once.
    Cut,
    /// The connection closes in the middle of its body.
    CutMidway,
    /// It is taken and never answered.
    Silence,
    /// It is done, and the connection closes before the answer.
    LoseReply,
    /// It is done, and its answer names another ETag.
    WrongEtag,
    /// It is done, and its answer names a checksum that is not the body's.
    WrongChecksum,
    /// It is not done, and answered with status 200 and nothing.
    Lie,
    /// It is not done, and answered with status 200 and this.
    Answer(&'static str),
    /// The connection closes after so many bytes of the answer.
    CutReply(usize),
    /// Nothing more comes after so many bytes of the answer.
    StallReply(usize),
}

/// Which calls it happens to.
#[derive(Debug, Clone, Copy)]
struct Rule {
    fault: Fault,
    /// How many pass before.
    after: usize,
    times: usize,
    /// Only calls of this method count.
    method: Option<&'static str>,
}

#[derive(Debug, Default)]
struct State {
    rule: Option<Rule>,
    calls: Vec<String>,
}

/// The faults of a service, which a test may change at any time.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

impl Faults {
    /// From the call after the next `after` on, `times` calls fail like this; forgets the calls so far.
    pub fn plan(&self, fault: Fault, after: usize, times: usize) {
        *self.state() = State { rule: Some(Rule { fault, after, times, method: None }), calls: Vec::new() };
    }

    /// The same, of calls with this method only.
    pub fn plan_for(&self, method: &'static str, fault: Fault, after: usize, times: usize) {
        *self.state() = State { rule: Some(Rule { fault, after, times, method: Some(method) }), calls: Vec::new() };
    }

    /// Ends all faults, and forgets the calls so far.
    pub fn end(&self) {
        *self.state() = State::default();
    }

    /// The calls since the last plan.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("the faults")
    }

    /// Counts a call in; says what happens to it.
    fn meet(&self, request: &Request<Incoming>) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push(format!("{} {}", request.method(), request.uri()));
        let rule = state.rule.as_mut()?;
        if rule.method.is_some_and(|method| request.method() != method) {
            return None;
        }
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        rule.times = rule.times.checked_sub(1)?;
        Some(rule.fault)
    }

    /// Answers a call, or not.
    pub async fn answer(self, service: S3Service, request: Request<Incoming>) -> io::Result<HttpResponse> {
        let fault = self.meet(&request);
        let closed = || Err(io::ErrorKind::ConnectionReset.into());
        match fault {
            Some(Fault::Status(status, code)) => {
                drain(request.into_body(), usize::MAX).await;
                return Ok(refusal(status, code));
            }
            Some(Fault::ErrorInside) => {
                drain(request.into_body(), usize::MAX).await;
                return Ok(refusal(200, "InternalError"));
            }
            Some(Fault::Lie) => {
                drain(request.into_body(), usize::MAX).await;
                return Ok(Response::new(Body::empty()));
            }
            Some(Fault::Answer(text)) => return Ok(Response::new(Body::from(text.to_owned()))),
            Some(Fault::Cut) => return closed(),
            Some(Fault::CutMidway) => {
                let half = request.body().size_hint().exact().unwrap_or_default() / 2;
                drain(request.into_body(), half as usize).await;
                return closed();
            }
            Some(Fault::Silence) => {
                drain(request.into_body(), usize::MAX).await;
                return std::future::pending().await;
            }
            _ => {}
        }
        let answer = service.call(request.map(Body::from)).await;
        let mut answer = answer.map_err(|error| io::Error::other(format!("{error:?}")))?;
        match fault {
            Some(Fault::LoseReply) => return closed(),
            Some(Fault::WrongEtag) => {
                answer.headers_mut().insert(ETAG, HeaderValue::from_static("\"00000000000000000000000000000000\""));
            }
            Some(Fault::WrongChecksum) => {
                let wrong = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
                answer.headers_mut().insert("x-amz-checksum-sha256", wrong);
            }
            Some(Fault::CutReply(left)) => return Ok(answer.map(|body| broken(body, left, false))),
            Some(Fault::StallReply(left)) => return Ok(answer.map(|body| broken(body, left, true))),
            _ => {}
        }
        Ok(answer)
    }
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>it was told to</Message></Error>"
    );
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/xml");
    answer.body(Body::from(text)).expect("an answer")
}

/// Reads up to so many bytes.
async fn drain(mut body: Incoming, most: usize) {
    let mut read = 0;
    while read < most {
        match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}

/// A body that breaks.
struct Broken {
    body: Body,
    left: usize,
    /// Whether it stalls instead of ending in an error.
    stall: bool,
    /// Whether all that came before the break has been sent: hyper throws away what it holds when a body fails.
    sent: bool,
}

fn broken(body: Body, left: usize, stall: bool) -> Body {
    Body::http_body_unsync(Broken { body, left, stall, sent: false })
}

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            if self.stall {
                return Poll::Pending;
            }
            if !mem::replace(&mut self.sent, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let Ok(mut data) = frame.map_err(|error| io::Error::other(error.to_string()))?.into_data() else {
            return Poll::Ready(None);
        };
        data.truncate(self.left);
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
