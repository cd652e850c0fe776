//! The floor: a bare loop that does nothing but write. It reads all that is ready, copies each
//! payload into a frame that is written already but for two numbers, and writes each socket of the
//! topic, with at most so many frames in one write. It parses no JSON, knows no users, no duplicates,
//! no history, and believes what it reads.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::Outcome;
use crate::text;
use crate::wire::{self, find};

const LISTENER: Token = Token(usize::MAX);

struct Socket {
    stream: TcpStream,
    is_open: bool,
    rest: Vec<u8>,
    answers: Vec<u8>,
    /// What the kernel did not take.
    behind: Vec<u8>,
}

#[derive(Default)]
struct Topic {
    subscribers: Vec<u32>,
    seq: u64,
    frame: Vec<u8>,
    seq_at: usize,
    id_at: usize,
    data_at: usize,
    waiting: Vec<u8>,
}

struct Floor {
    most: usize,
    sockets: Slab<Socket>,
    topics: Vec<Topic>,
    /// Topics with frames to write, sockets with answers to write.
    dirty: (Vec<usize>, Vec<usize>),
    ack: Vec<u8>,
    ack_id_at: usize,
}

/// Serves for ever, with at most `most` frames in one write.
pub fn serve(port: u16, most: usize) -> Outcome<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(4096);
    let mut buffer = vec![0; 1 << 20];
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut ack = Vec::new();
    let id = format!("m{}", text::FIRST);
    let answer = format!(r#"{{"type":"ack","messageId":"{id}","status":"ok"}}"#);
    wire::plain(&mut ack, wire::TEXT, answer.as_bytes());
    let mut floor = Floor {
        most,
        sockets: Slab::new(),
        topics: Vec::new(),
        dirty: Default::default(),
        ack_id_at: find(&ack, id.as_bytes()).unwrap_or_default() + 1,
        ack,
    };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            if event.token() == LISTENER {
                floor.accept(&listener, &poll)?;
                continue;
            }
            let id = event.token().0;
            let socket = &mut floor.sockets[id];
            if event.is_writable() && !socket.behind.is_empty() {
                let behind = std::mem::take(&mut socket.behind);
                socket.write(&behind);
            }
            if !floor.read(id, &mut buffer) {
                floor.sockets.remove(id);
            }
        }
        floor.flush();
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> Outcome<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let place = self.sockets.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(place.key()), interest)?;
            place.insert(Socket {
                stream,
                is_open: false,
                rest: Vec::new(),
                answers: Vec::new(),
                behind: Vec::new(),
            });
        }
    }

    /// Reads all that is there. False when the other side has gone.
    fn read(&mut self, id: usize, buffer: &mut [u8]) -> bool {
        loop {
            let socket = &mut self.sockets[id];
            let kept = socket.rest.len();
            buffer[..kept].copy_from_slice(&socket.rest);
            let came = match socket.stream.read(&mut buffer[kept..]) {
                Ok(came @ 1..) => came,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                _ => return false,
            };
            let filled = kept + came;
            let used = self.take(id, &buffer[..filled]);
            let rest = &mut self.sockets[id].rest;
            rest.clear();
            rest.extend_from_slice(&buffer[used..filled]);
            if filled < buffer.len() {
                return true;
            }
        }
    }

    fn take(&mut self, id: usize, bytes: &[u8]) -> usize {
        if !self.sockets[id].is_open {
            let Some(end) = find(bytes, b"\r\n\r\n") else {
                return 0;
            };
            self.sockets[id].is_open = true;
            self.sockets[id].write(wire::SWITCHING);
            return end + 4;
        }
        let mut at = 0;
        while let Some(frame) = wire::frame(bytes, at) {
            let payload = &bytes[frame.start..frame.end];
            at = frame.end;
            match payload.get(9..11) {
                Some(b"pu") => self.publish(id, payload),
                Some(b"su") => self.subscribe(id, payload),
                _ => self.setup(id, payload),
            }
        }
        at
    }

    fn setup(&mut self, id: usize, payload: &[u8]) {
        const TOPICS: &[u8] = b"\"topics\":[";
        if let Some(at) = find(payload, TOPICS) {
            for name in payload[at + TOPICS.len()..].split(|byte| *byte == b',') {
                if name.len() > 8 {
                    self.join(id, number(&name[1..]));
                }
            }
        }
        self.answer(id, b"{\"type\":\"ready\",\"sessionId\":\"s\"}");
    }

    fn subscribe(&mut self, id: usize, payload: &[u8]) {
        const TOPIC: &[u8] = b"{\"type\":\"subscribe\",\"topic\":\"";
        self.join(id, number(&payload[TOPIC.len()..]));
        self.answer(id, b"{\"type\":\"subscribed\",\"topic\":\"t\"}");
    }

    fn join(&mut self, id: usize, topic: usize) {
        while self.topics.len() <= topic {
            self.topics.push(Topic::default());
        }
        self.topics[topic].subscribers.push(id as u32);
    }

    fn answer(&mut self, id: usize, text: &[u8]) {
        let answers = &mut self.sockets[id].answers;
        if answers.is_empty() {
            self.dirty.1.push(id);
        }
        wire::plain(answers, wire::TEXT, text);
    }

    fn publish(&mut self, id: usize, payload: &[u8]) {
        const TOPIC: usize = b"{\"type\":\"publish\",\"topic\":\"".len();
        const ID: usize = TOPIC + 8 + b"\",\"messageId\":\"m".len();
        const DATA: usize = ID + text::WIDTH + b"\",\"payload\":".len();
        let message_id = &payload[ID..ID + text::WIDTH];
        let Some(topic) = self.topics.get_mut(number(&payload[TOPIC..])) else {
            return;
        };
        if topic.frame.is_empty() {
            topic.encode(&payload[TOPIC..TOPIC + 8], &payload[DATA..]);
        }
        if topic.waiting.is_empty() {
            self.dirty.0.push(number(&payload[TOPIC..]));
        }
        topic.seq += 1;
        let (data, frame) = (&payload[DATA..payload.len() - 1], &mut topic.frame);
        wire::patch(
            &mut frame[topic.seq_at..topic.seq_at + text::WIDTH],
            topic.seq,
        );
        frame[topic.id_at..topic.id_at + text::WIDTH].copy_from_slice(message_id);
        frame[topic.data_at..topic.data_at + data.len()].copy_from_slice(data);
        topic.waiting.extend_from_slice(frame);

        let (at, ack) = (self.ack_id_at, &mut self.ack);
        ack[at..at + text::WIDTH].copy_from_slice(message_id);
        let answers = &mut self.sockets[id].answers;
        if answers.is_empty() {
            self.dirty.1.push(id);
        }
        answers.extend_from_slice(ack);
    }

    fn flush(&mut self) {
        for topic in self.dirty.0.drain(..) {
            let topic = &mut self.topics[topic];
            for frames in topic.waiting.chunks(topic.frame.len() * self.most) {
                for id in &topic.subscribers {
                    self.sockets[*id as usize].write(frames);
                }
            }
            topic.waiting.clear();
        }
        for id in self.dirty.1.drain(..) {
            let socket = &mut self.sockets[id];
            let answers = std::mem::take(&mut socket.answers);
            for acks in answers.chunks(self.ack.len() * self.most) {
                socket.write(acks);
            }
        }
    }
}

impl Topic {
    fn encode(&mut self, name: &[u8], data: &[u8]) {
        self.seq = text::FIRST;
        let name = String::from_utf8_lossy(name);
        let mut json = format!(
            r#"{{"type":"message","topic":"{name}","seqNo":{0},"messageId":"m{0}","data":"#,
            text::FIRST
        )
        .into_bytes();
        // With the bracket that ends the publish, and so the message too.
        json.extend_from_slice(data);
        wire::plain(&mut self.frame, wire::TEXT, &json);
        let place = |mark: &[u8]| find(&self.frame, mark).unwrap_or_default() + mark.len();
        self.seq_at = place(b"\"seqNo\":");
        self.id_at = place(b"\"messageId\":\"m");
        self.data_at = place(b"\"data\":");
    }
}

impl Socket {
    fn write(&mut self, mut bytes: &[u8]) {
        while self.behind.is_empty() && !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(_) => break,
            }
        }
        self.behind.extend_from_slice(bytes);
    }
}

/// The number of a topic, whose name stands at the beginning.
fn number(name: &[u8]) -> usize {
    wire::digits(name, 1).0 as usize
}
