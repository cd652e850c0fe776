//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;
use crate::fanout::Times;
use crate::peer::{Kind, Peer};
use crate::rows::{ROWS, Row};

/// What `--help` says.
pub const HELP: &str = "\
Measures the gateway beside its peers, in turn, and prints a table.

  --rows A,B,...       which rows; all of them if not given
  --gateway [NAME=]PROGRAM [ARGUMENT...]
                       a gateway to measure, in one argument; may be given more than once
                       (target/release/micro-socket)
  --peers NAME,...     beside whom: limit-N, bun-native, bun-loop, nats; or none
  --rounds N           how often each peer has its turn (3)
  --seconds S          how long a turn measures (3)
  --cores 1|2|1,2      cores of the gateways; with 1,2 the gateways have a second turn on two cores
                       where messages flow (1)
  --output FILE        writes the table there too
  --smoke              a few seconds in all, small, to see that everything works; fails if a message
                       is lost, out of order or wrong
";

/// What was asked for.
pub struct Options {
    /// The rows.
    pub rows: Vec<Row>,
    /// The gateways.
    pub gateways: Vec<Peer>,
    /// The peers by name, if they were named.
    pub peers: Option<Vec<String>>,
    /// How often each peer has its turn.
    pub rounds: usize,
    /// How long a turn measures, in seconds.
    pub seconds: f64,
    /// Cores of the gateways.
    pub cores: Vec<usize>,
    /// Where the table goes too.
    pub output: Option<PathBuf>,
    /// Small and quick.
    pub smoke: bool,
    /// The server's core and the load's, if each has one.
    pub pinned: Option<[usize; 2]>,
}

impl Options {
    /// Reads the command line.
    pub fn read(arguments: &[String], pinned: Option<[usize; 2]>) -> Outcome<Self> {
        let mut options = Self {
            rows: ROWS.to_vec(),
            gateways: Vec::new(),
            peers: None,
            rounds: 3,
            seconds: 3.0,
            cores: vec![1],
            output: None,
            smoke: false,
            pinned,
        };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            if name == "--smoke" {
                options.smoke = true;
                options.rounds = 1;
                options.seconds = 0.1;
                options.peers = Some(vec!["limit-64".into()]);
                continue;
            }
            // `cargo bench` says so.
            if name == "--bench" {
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n\n{HELP}"))?;
            let list = || value.split(',').filter(|part| !part.is_empty());
            match name.as_str() {
                "--rows" => options.rows = list().map(row).collect::<Outcome<_>>()?,
                "--gateway" => options.gateways.push(gateway(value)?),
                "--peers" if value == "none" => options.peers = Some(Vec::new()),
                "--peers" => options.peers = Some(list().map(str::to_owned).collect()),
                "--rounds" => options.rounds = value.parse()?,
                "--seconds" => options.seconds = value.parse()?,
                "--cores" => options.cores = list().map(cores).collect::<Outcome<_>>()?,
                "--output" => options.output = Some(value.into()),
                _ => return Err(format!("{name} is unknown\n\n{HELP}").into()),
            }
        }
        if options.gateways.is_empty() {
            options
                .gateways
                .push(gateway("target/release/micro-socket")?);
        }
        Ok(options)
    }

    /// Who has a turn in a row, the gateways first.
    pub fn peers_of(&self, row: &Row) -> Outcome<Vec<Peer>> {
        let names: Vec<&str> = match &self.peers {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => row.peers.to_vec(),
        };
        let mut peers = Vec::new();
        for gateway in &self.gateways {
            for (turn, cores) in (0..).zip(&self.cores) {
                if turn == 0 || row.flows() {
                    peers.push(Peer {
                        name: name_on(&gateway.name, *cores),
                        cores: self.server_cores(*cores),
                        ..gateway.clone()
                    });
                }
            }
        }
        for name in names {
            let peer = Peer::named(name, self.server_cores(1));
            peers.push(peer.ok_or_else(|| format!("{name} is no peer\n\n{HELP}"))?);
        }
        peers.retain(|peer| row.fits(peer));
        Ok(peers)
    }

    /// How long a turn warms up and measures.
    pub fn times(&self) -> Times {
        Times {
            warm: Duration::from_secs_f64((self.seconds / 3.0).min(1.0)),
            measure: Duration::from_secs_f64(self.seconds),
            repeats: usize::from(!self.smoke),
        }
    }

    /// So many, or a few where it is a smoke test.
    pub fn size(&self, full: usize) -> usize {
        if self.smoke { full.div_ceil(100) } else { full }
    }

    fn server_cores(&self, count: usize) -> Option<String> {
        let [server, load] = self.pinned?;
        Some(match count {
            1 => server.to_string(),
            _ => format!("{server},{load}"),
        })
    }
}

/// How a gateway is called in the tables.
pub fn name_on(name: &str, cores: usize) -> String {
    match cores {
        1 => name.to_owned(),
        _ => format!("{name}, {cores} cores"),
    }
}

fn cores(text: &str) -> Outcome<usize> {
    match text.parse()? {
        cores @ 1..=2 => Ok(cores),
        _ => Err("--cores is 1, 2 or 1,2".into()),
    }
}

fn row(name: &str) -> Outcome<Row> {
    let known = ROWS
        .into_iter()
        .find(|row| row.name.eq_ignore_ascii_case(name));
    known.ok_or_else(|| format!("{name} is no row\n\n{HELP}").into())
}

fn gateway(text: &str) -> Outcome<Peer> {
    let (name, line) = text.split_once('=').unwrap_or(("gateway", text));
    let line: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if line.is_empty() {
        return Err("--gateway names no program".into());
    }
    Ok(Peer {
        name: name.to_owned(),
        kind: Kind::Gateway(line),
        cores: None,
    })
}
