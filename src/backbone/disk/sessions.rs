//! Sessions in a file of their own beside the log.
//!
//! They are all in memory as well; the file is what a new process starts from. A session lost is not
//! a message lost: its client goes on from its own positions. So a save is not waited for, and is on
//! disk within a second. The file is only appended to, and written anew when most of it is out of
//! date or a write failed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::format::{Frame, PREFIX, frame, unframe};
use super::segment::sync_dir;
use crate::backbone::sessions::StoredSession;
use crate::backbone::{
    Answer, MemorySessions, Now, SessionId, SessionRecord, Sessions, Unavailable,
};

const FILE: &str = "sessions";
/// How soon a save is on disk.
const SYNC_WITHIN: Duration = Duration::from_secs(1);
/// A file below this size is not worth writing anew.
const SMALL: usize = 1 << 20;
/// The expiry of a session whose socket lives.
const LIVES: u64 = u64::MAX;

/// One line of the file's story: a session as it stands now, or that it is gone.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    id: String,
    expires: u64,
    session: Option<StoredSession>,
}

fn entry(id: SessionId, expires: u64, record: Option<&SessionRecord>) -> Vec<u8> {
    let entry = Entry {
        id: format!("{id:032x}"),
        expires,
        session: record.map(StoredSession::from),
    };
    let mut out = Vec::new();
    // Strings and numbers: writing them to memory cannot fail.
    frame(&mut out, &serde_json::to_vec(&entry).unwrap_or_default());
    out
}

/// Sessions that outlive the process.
pub struct DiskSessions {
    memory: Arc<MemorySessions>,
    entries: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl DiskSessions {
    /// Opens what the last process left. A session whose socket lived then can be resumed for `ttl`
    /// from now. The directory must be ours already.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open(now: Now, dir: &Path, ttl: Duration) -> io::Result<Self> {
        let memory = Arc::new(MemorySessions::default());
        let bytes = match fs::read(dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut rest = &bytes[..];
        while let Frame::Whole(body) = unframe(rest) {
            rest = &rest[PREFIX + body.len()..];
            let Ok(entry) = serde_json::from_slice::<Entry>(body) else {
                break;
            };
            let id = SessionId::from_str_radix(&entry.id, 16).unwrap_or_default();
            let Some(stored) = entry.session else {
                memory.forget(id);
                continue;
            };
            let record = stored.into();
            let expires = match entry.expires {
                LIVES => now.unix_ms + ttl.as_millis() as u64,
                expires => expires,
            };
            memory.save(now, id, &record, Some(expires));
        }
        if !rest.is_empty() {
            tracing::warn!(bytes = rest.len(), "the end of the sessions is lost");
        }
        let (entries, given) = mpsc::channel();
        let mut keeper = Keeper {
            dir: dir.to_owned(),
            memory: memory.clone(),
            file: None,
            bytes: 0,
            live: 0,
            dirty: false,
            synced: Instant::now(),
        };
        let thread = thread::Builder::new().name("disk-sessions".to_owned());
        let writer = thread.spawn(move || keeper.run(&given))?;
        Ok(Self {
            memory,
            entries: Mutex::new(Some(entries)),
            writer: Mutex::new(Some(writer)),
        })
    }

    fn write(&self, entry: Vec<u8>) {
        if let Some(entries) = &*self.entries.lock() {
            let _ = entries.send(entry);
        }
    }
}

impl Sessions for DiskSessions {
    fn save(&self, now: Now, id: SessionId, record: &SessionRecord, expires_unix_ms: Option<u64>) {
        let expires = expires_unix_ms.unwrap_or(LIVES);
        self.memory.save(now, id, record, Some(expires));
        self.write(entry(id, expires, Some(record)));
    }

    fn outlives_the_process(&self) -> bool {
        true
    }

    fn claim(
        &self,
        now: Now,
        id: SessionId,
        user: &str,
    ) -> Answer<Result<Option<SessionRecord>, Unavailable>> {
        self.memory.claim(now, id, user)
    }

    fn forget(&self, id: SessionId) {
        self.memory.forget(id);
        self.write(entry(id, 0, None));
    }

    fn close(&self) {
        drop(self.entries.lock().take());
        let writer = self.writer.lock().take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the sessions' writer ended badly");
        }
    }
}

impl Drop for DiskSessions {
    fn drop(&mut self) {
        self.close();
    }
}

/// Writes the file, on a thread of its own.
struct Keeper {
    dir: PathBuf,
    memory: Arc<MemorySessions>,
    /// `None`: it has to be written anew.
    file: Option<File>,
    bytes: usize,
    /// What it was when it was written anew.
    live: usize,
    dirty: bool,
    synced: Instant,
}

impl Keeper {
    fn run(&mut self, entries: &mpsc::Receiver<Vec<u8>>) {
        self.attempt(Self::renew);
        loop {
            match entries.recv_timeout(SYNC_WITHIN) {
                Ok(mut bytes) => {
                    while bytes.len() < SMALL
                        && let Ok(more) = entries.try_recv()
                    {
                        bytes.extend_from_slice(&more);
                    }
                    self.attempt(|keeper| keeper.append(&bytes));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if self.synced.elapsed() >= SYNC_WITHIN {
                self.attempt(Self::sync);
            }
        }
        self.attempt(Self::sync);
    }

    fn attempt(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) {
        if let Err(error) = work(self)
            && self.file.take().is_some()
        {
            tracing::error!(%error, "sessions cannot be written; they are kept in memory");
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes > SMALL + 2 * self.live {
            // What these bytes say is in memory already.
            return self.renew();
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            self.bytes += bytes.len();
            self.dirty = true;
        }
        Ok(())
    }

    fn renew(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (id, expires, record) in self.memory.all() {
            bytes.extend_from_slice(&entry(id, expires, Some(&record)));
        }
        let new = self.dir.join("sessions.new");
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.dir.join(FILE))?;
        sync_dir(&self.dir)?;
        self.file = Some(file);
        (self.bytes, self.live, self.dirty) = (bytes.len(), bytes.len(), false);
        Ok(())
    }

    /// Brings it to the disk; where a write failed, writes it anew.
    fn sync(&mut self) -> io::Result<()> {
        self.synced = Instant::now();
        match &self.file {
            Some(file) if self.dirty => file.sync_data()?,
            Some(_) => {}
            None => self.renew()?,
        }
        self.dirty = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;
    use crate::backbone::SessionTopic;
    use crate::protocol::{Epoch, Topic};

    fn record(user: &str, seq_no: u64) -> SessionRecord {
        SessionRecord {
            user: user.to_owned(),
            topics: vec![SessionTopic {
                topic: Topic::new("t \"1\"").unwrap(),
                qos: 1,
                seq_no,
                epoch: Epoch::new("e1"),
            }],
        }
    }

    fn open(dir: &Path, ms: u64) -> DiskSessions {
        DiskSessions::open(at(ms), dir, Duration::from_secs(10)).unwrap()
    }

    fn load(sessions: &DiskSessions, ms: u64, id: SessionId) -> Option<SessionRecord> {
        let all = sessions.memory.all();
        let user = all
            .iter()
            .find(|(other, ..)| *other == id)
            .map(|(.., record)| &*record.user);
        match sessions.claim(at(ms), id, user.unwrap_or_default()) {
            Answer::Ready(answer) => answer.unwrap(),
            Answer::Later(_) => panic!("it is in memory"),
        }
    }

    #[test]
    fn sessions_survive_a_restart_until_they_expire() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(dir.path(), 0);
        let id = SessionId::MAX - 1;
        sessions.save(at(0), id, &record("ann", 1), Some(at(5000).unix_ms));
        sessions.save(at(0), 2, &record("bob", 2), None);
        sessions.save(at(0), 3, &record("cid", 3), None);
        sessions.forget(3);
        drop(sessions);
        let sessions = open(dir.path(), 1000);
        assert_eq!(load(&sessions, 4999, id), Some(record("ann", 1)));
        assert_eq!(load(&sessions, 5000, id), None);
        // Its socket lived: its time began with this process.
        assert_eq!(load(&sessions, 10_999, 2), Some(record("bob", 2)));
        assert_eq!(load(&sessions, 11_000, 2), None);
        assert_eq!(load(&sessions, 1000, 3), None);
    }

    #[test]
    fn the_file_stays_in_proportion_and_a_torn_end_costs_only_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(dir.path(), 0);
        sessions.save(at(0), 1, &record("ann", 1), None);
        for seq_no in 0..20_000 {
            sessions.save(at(0), 2, &record("bob", seq_no), None);
        }
        drop(sessions);
        let path = dir.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() < 3 * SMALL, "{}", bytes.len());
        for cut in (bytes.len() - 150..bytes.len()).step_by(37) {
            fs::write(&path, &bytes[..cut]).unwrap();
            let sessions = open(dir.path(), 0);
            assert_eq!(load(&sessions, 0, 1), Some(record("ann", 1)));
        }
    }
}
