//! Connections that stand half-way and wait, while something happens beside them.

use crate::dialogue::with_length;
use crate::{Dialogue, Exchange, Kind, Probe, Trial, Wrong};
use vk_try::Random;

/// Bytes that each of them sends, in two halves.
const BODY: usize = 2000;

/// Failures that are told.
const TOLD: usize = 10;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between two requests.
    Idle,
    /// In a body of known length, that is streamed back.
    Echo,
    /// In a body that is changed in the memory of the handler.
    Change,
    /// In a line.
    Line,
    /// In a frame of a WebSocket's second message.
    Message,
    /// In a stream, the first half of which has come back, changed.
    Stream,
}

#[derive(Debug)]
struct Innocent {
    stage: Stage,
    probe: Probe,
    body: Vec<u8>,
    /// The conversation over a WebSocket, and the message under way.
    talk: Option<(Dialogue, Exchange)>,
    /// What [`Incoming::head`](crate::Incoming::head) has told of the answer that is under way.
    length: Option<usize>,
}

/// Half of them idle, half of them half-way, on all workers: the kernel spreads them.
#[derive(Debug)]
pub struct Crowd(Vec<Innocent>);

impl Crowd {
    /// Opens `count` connections to the trial application.
    ///
    /// # Panics
    /// If one can't be opened, or is not served.
    #[track_caller]
    pub fn gather(trial: &Trial, count: usize, seed: u64) -> Crowd {
        let mut random = Random(seed);
        let stages = [Stage::Echo, Stage::Change, Stage::Line, Stage::Stream, Stage::Message];
        let stage = |n: usize| if n.is_multiple_of(2) { Stage::Idle } else { stages[n / 2 % stages.len()] };
        let begin = |n| {
            Innocent::begin(trial, stage(n), &mut random)
                .unwrap_or_else(|wrong| panic!("innocent {n} ({:?}) is not served: {wrong:?}", stage(n)))
        };
        Crowd((0..count).map(begin).collect())
    }

    /// Lets each connection finish what it has begun, and end.
    ///
    /// # Panics
    /// If one has not survived.
    #[track_caller]
    pub fn finish(self) {
        let (all, mut lost) = (self.0.len(), Vec::new());
        for (n, mut innocent) in self.0.into_iter().enumerate() {
            if let Err(wrong) = innocent.finish() {
                lost.push(format!("{n} ({:?}): {wrong:?}", innocent.stage));
            }
            // Each one may take long to fail.
            if lost.len() == TOLD {
                break;
            }
        }
        assert!(
            lost.is_empty(),
            "of {all} innocent connections at least these are lost:\n  {}",
            lost.join("\n  ")
        );
    }
}

impl Innocent {
    fn begin(trial: &Trial, stage: Stage, random: &mut Random) -> Result<Innocent, Wrong> {
        let kind = match stage {
            Stage::Idle | Stage::Echo | Stage::Change => Kind::Http,
            Stage::Line => Kind::Lines,
            Stage::Stream => Kind::Changed,
            Stage::Message => Kind::Socket,
        };
        let mut probe = Probe::to(trial.addresses()[kind as usize]);
        let mut body: Vec<u8> = (0..BODY).map(|_| b'a' + random.below(26) as u8).collect();
        let mut length = None;
        let mut talk = None;
        match stage {
            Stage::Idle => probe.try_check()?,
            Stage::Echo => {
                let request = with_length("/echo", &body);
                probe.send(&request[..request.len() - BODY / 2])?;
                length = probe.incoming.head(200)?;
            }
            Stage::Change => {
                let request = with_length("/change", &body);
                probe.send(&request[..request.len() - BODY / 2])?;
            }
            Stage::Line => {
                body.truncate(1000);
                body.push(b'\n');
                probe.send(b"first\n")?;
                probe.incoming.bytes(b"first\n")?;
                probe.send(&body[..500])?;
            }
            Stage::Stream => {
                probe.send(&body[..BODY / 2])?;
                let mut answer = body.clone();
                crate::change(&mut answer, 0);
                probe.incoming.bytes(&answer[..BODY / 2])?;
            }
            Stage::Message => {
                let mut dialogue = Dialogue::new(kind, random.number());
                for _ in 0..2 {
                    let Exchange { request, answer, .. } = dialogue.exchange();
                    probe.send(&request)?;
                    answer.expect(&mut probe.incoming)?;
                }
                let exchange = dialogue.exchange();
                probe.send(&exchange.request[..exchange.request.len() / 2])?;
                talk = Some((dialogue, exchange));
            }
        }
        Ok(Innocent { stage, probe, body, talk, length })
    }

    fn finish(&mut self) -> Result<(), Wrong> {
        let Innocent { stage, probe, body, talk, length } = self;
        match stage {
            Stage::Idle => probe.asks("/state", b"2")?,
            Stage::Echo => {
                probe.send(&body[BODY / 2..])?;
                probe.incoming.body(*length, body)?;
                probe.asks("/state", b"2")?;
            }
            Stage::Change => {
                probe.send(&body[BODY / 2..])?;
                let length = probe.incoming.head(200)?;
                crate::change(body, 0);
                probe.incoming.body(length, body)?;
                probe.asks("/state", b"2")?;
            }
            Stage::Line => {
                probe.send(&body[500..])?;
                probe.incoming.bytes(body)?;
            }
            Stage::Stream => {
                probe.send(&body[BODY / 2..])?;
                crate::change(body, 0);
                probe.incoming.bytes(&body[BODY / 2..])?;
            }
            Stage::Message => {
                let (dialogue, Exchange { request, answer, .. }) = talk.as_mut().expect("it has begun one");
                probe.send(&request[request.len() / 2..])?;
                answer.expect(&mut probe.incoming)?;
                if let Some(Exchange { request, answer, .. }) = dialogue.last() {
                    probe.send(&request)?;
                    answer.expect(&mut probe.incoming)?;
                }
            }
        }
        probe.outgoing.hang_up();
        probe.incoming.end()
    }
}
