//! Tokens of servers' clients: in force here, held by the keeper for the next daemon, kept on the disk over a
//! reboot.

use super::connections::ConnectionId;
use super::Daemon;
use engine::control::answer::Answer;
use engine::control::audit;
use engine::control::call::NewToken;
use engine::control::fault::Fault;
use engine::control::rights::{Caller, Shown};
use engine::errno::Errno;
use engine::keeper::held;
use engine::logroute::{self, ToLogger};
use engine::machine::Level;
use engine::rights::{Names, Role};
use engine::text::Text;
use engine::token::{Digest, Token, TokenView, Tokens, TEXT_MAX};
use shown::words::system as words;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use sys::{memfd, seqpacket};

/// What tells the numbers of texts that are kept here from those of intents.
const OURS: u64 = 1 << 63;

/// How far the disk is behind.
#[derive(Default)]
pub struct Keeping {
    /// The number of the last text.
    number: u64,
    /// Whether it is not known to be on the disk.
    unkept: bool,
}

impl Daemon {
    fn tokens_file(&self) -> Option<PathBuf> {
        self.settings.statedir.as_ref().map(|directory| directory.join("tokens"))
    }

    /// Goes on with the tokens that were in force, else with those on the disk.
    pub(super) fn take_tokens(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        match held.remove(&held::TOKENS).and_then(|note| memfd::read_all(&note).ok()) {
            Some(text) => {
                self.rights.tokens = Tokens::read(&text).0;
                // The last daemon may have died before it was kept.
                self.keeping.unkept = true;
            }
            None => self.recall_tokens(),
        }
    }

    /// Takes the tokens that the disk has, where none are in force; what is wrong with them is said.
    pub(super) fn recall_tokens(&mut self) {
        let Some(path) = self.tokens_file() else { return };
        if self.rights.tokens != Tokens::default() {
            return;
        }
        let mut text = Vec::new();
        let read = File::open(&path)
            .and_then(|file| file.take(TEXT_MAX as u64 + 1).read_to_end(&mut text));
        let (tokens, mut wrong) = match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                (Tokens::default(), vec![format!("it cannot be read: {}", words(&error))])
            }
            Ok(length) if length > TEXT_MAX => {
                (Tokens::default(), vec![format!("it is longer than {TEXT_MAX} bytes")])
            }
            Ok(_) => Tokens::read(&text),
        };
        wrong.truncate(10);
        for wrong in wrong {
            let line = format!("{}: {wrong}; that token does not hold", path.display());
            self.say(Level::Warn, &line);
        }
        self.rights.tokens = tokens;
    }

    /// Makes a token; the client waits until it is kept.
    pub(super) fn create_token(&mut self, id: ConnectionId, new: NewToken) {
        let now = self.accounts.now();
        let NewToken { name, digest, role, jobs, lifetime } = new;
        let by = match self.connections.caller(id) {
            Some(Caller::Peer(peer)) => peer.uid,
            Some(Caller::Server(_) | Caller::Token(_)) | None => self.settings.uid,
        };
        let expires = lifetime.map(|seconds| now.saturating_add(seconds));
        let name = name.lossy().into_owned();
        let view = TokenView { name, role, jobs, created: now, by, expires };
        match self.rights.tokens.add(Token { view, digest }, now) {
            Ok(()) => self.tokens_changed(id),
            Err(why) => {
                self.connections.answer(id, Err(Fault::refusal("not-a-token", why)));
            }
        }
    }

    /// Ends a token; the client waits until that is kept.
    pub(super) fn revoke_token(&mut self, id: ConnectionId, name: &Text) {
        match self.rights.tokens.remove(&name.lossy()) {
            true => {
                // Who reads along is told; nothing else goes on.
                let its = self.connections.of_token(&name.lossy());
                its.into_iter().for_each(|id| self.close(id));
                self.judge_streams();
                self.tokens_changed(id);
            }
            false => {
                let why = format!("{name}: there is no such token; `upright token-list' shows all");
                self.connections.answer(id, Err(Fault::refusal("unknown-token", why)));
            }
        }
    }

    /// Returns what people are shown of those that have not ended.
    pub(super) fn list_tokens(&self) -> Answer {
        Answer::Tokens(self.rights.tokens.views(self.accounts.now()))
    }

    fn tokens_changed(&mut self, id: ConnectionId) {
        match memfd::sealed(c"upright-tokens", &self.rights.tokens.write()) {
            Ok(note) => self.hold(held::TOKENS, note.as_fd()),
            Err(errno) => {
                let line = format!("tokens would not survive a crash of the daemon: {errno}");
                self.say(Level::Error, &line);
            }
        }
        self.keeping.number = self.keeping.number.wrapping_add(1) & !OURS;
        self.keeping.unkept = true;
        match self.tokens_file() {
            Some(_) => self.connections.await_kept(id, self.keeping.number),
            None => self.connections.answer(id, Ok(Answer::Done)),
        }
        self.keep_tokens();
    }

    /// Has the tokens written down, where that is not done.
    pub(super) fn keep_tokens(&mut self) {
        let (Some(path), true) = (self.tokens_file(), self.keeping.unkept) else { return };
        let Some(logger) = &self.logger else { return };
        let (number, path) = (OURS | self.keeping.number, Text::from(path.as_os_str().as_bytes()));
        let message = logroute::encode(&ToLogger::StorePrivate { number, path });
        let text = self.rights.tokens.write();
        let told = memfd::sealed(c"upright-tokens", &text)
            .and_then(|text| seqpacket::send(logger, &[&message], &[text.as_fd()]));
        if let Err(errno) = told {
            self.tokens_stored(number, errno.raw_os_error());
        }
    }

    /// The logger has written tokens down, or could not. Reports whether it was tokens.
    pub(super) fn tokens_stored(&mut self, number: u64, errno: i32) -> bool {
        if number & OURS == 0 {
            return false;
        }
        let number = number & !OURS;
        self.keeping.unkept &= number != self.keeping.number;
        let fault = (errno != 0).then(|| {
            let why = Errno(errno);
            Fault::Unavailable(format!(
                "it holds now, but a reboot undoes it: the state directory cannot be written: {why}"
            ))
        });
        self.touched.extend(self.connections.kept(number, fault));
        true
    }

    /// Returns the token that was shown to a server; nothing where there is no such, which is written
    /// down.
    pub(super) fn shown_token(
        &self,
        server: u16,
        digest: Digest,
        client: Option<&str>,
    ) -> Option<Shown> {
        let grant = self.http.serves(server).then(|| self.granted(server)).flatten()?;
        match self.rights.tokens.find(&digest, self.accounts.now()) {
            Some(view) => Some(Shown { grant, digest, name: view.name.clone() }),
            None => {
                let section = self.http.section(server);
                self.write_refusal(&audit::unknown_token(section, client.unwrap_or_default()));
                None
            }
        }
    }

    /// Reports whether a client may learn where our own log is: with a token, who looks at everything.
    pub(super) fn sees_own_log(&self, id: ConnectionId) -> bool {
        match self.connections.caller(id) {
            Some(Caller::Token(shown)) => {
                let token = self.rights.tokens.find(&shown.digest, self.accounts.now());
                token.is_some_and(|token| token.gives(Role::Look, None))
            }
            Some(Caller::Peer(_) | Caller::Server(_)) | None => true,
        }
    }
}
