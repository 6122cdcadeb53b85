//! Chromium without a window, driven over the pipe of its developer tools.

use crate::world::{until, PATIENCE};
use serde_json::{json, Value};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/bin/chromium";

/// A browser with one page.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    number: u64,
    session: Option<String>,
    profile: PathBuf,
    /// What went wrong in a page: mistakes of the script, and what the page's own policy forbids.
    pub complaints: Vec<String>,
}

impl Browser {
    /// Starts one. Nothing where there is none here.
    pub fn start() -> Option<Browser> {
        if !Path::new(PROGRAM).exists() {
            println!(
                "passed over: {PROGRAM} is not there; scripts/install-test-needs.sh installs it"
            );
            return None;
        }
        let name = format!("uchromium{}-{:?}", std::process::id(), std::thread::current().id());
        let profile = std::env::temp_dir().join(name);
        // It reads from descriptor 3 and writes to descriptor 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", PROGRAM])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--remote-debugging-pipe"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .env("HOME", std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, mut stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let (mut held, mut bytes) = (Vec::new(), vec![0; 64 * 1024]);
            while let Ok(length @ 1..) = stdout.read(&mut bytes) {
                held.extend_from_slice(&bytes[..length]);
                while let Some(end) = held.iter().position(|byte| *byte == 0) {
                    let message: Vec<u8> = held.drain(..=end).collect();
                    let message = serde_json::from_slice(&message[..end]).unwrap();
                    if sender.send(message).is_err() {
                        return;
                    }
                }
            }
        });
        let (number, session, complaints) = (0, None, Vec::new());
        let mut browser = Browser { process, input, output, number, session, profile, complaints };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attached);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, json!({}));
        }
        Some(browser)
    }

    /// Calls a method of the developer tools; returns the result.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn answer(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut call = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.input.write_all(format!("{call}\0").as_bytes()).unwrap();
        loop {
            let message = self.output.recv_timeout(PATIENCE).expect("the browser answers");
            if message["id"] == self.number {
                return message;
            }
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Value) {
        let params = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => params["exceptionDetails"].to_string(),
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                params["entry"]["text"].to_string()
            }
            _ => return,
        };
        self.complaints.push(complaint);
    }

    /// Goes to an address and waits until the page is there.
    #[track_caller]
    pub fn go(&mut self, address: &str) {
        self.run("window.leaving = true");
        self.ask("Page.navigate", json!({ "url": address }));
        self.until("!window.leaving && document.readyState === 'complete'");
    }

    /// Runs a piece of script in the page; returns what it comes to. A page that is just being
    /// left has nothing to say.
    pub fn run(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        self.answer("Runtime.evaluate", params)["result"]["result"]["value"].clone()
    }

    /// Waits until a piece of script comes to true.
    #[track_caller]
    pub fn until(&mut self, script: &str) {
        until(script, || self.run(script) == true);
    }

    /// Waits until a piece of script comes to this; says what it came to instead.
    #[track_caller]
    pub fn comes_to(&mut self, script: &str, expected: &Value) {
        let begun = Instant::now();
        let mut last = self.run(script);
        while last != *expected {
            assert!(begun.elapsed() < PATIENCE, "{script}: {last}, not {expected}");
            std::thread::sleep(Duration::from_millis(3));
            last = self.run(script);
        }
    }

    /// Presses the button or link of this `id`, once it is there, where nothing else covers it.
    ///
    /// Not by events of a mouse: Chromium drops those that come before it has painted.
    #[track_caller]
    pub fn click(&mut self, id: &str) {
        let press = format!(
            "(() => {{ const b = document.getElementById('{id}'); if (!b || b.disabled) return false; \
             b.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const r = b.getBoundingClientRect(); \
             const top = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2); \
             if (!b.contains(top)) return false; b.focus(); b.click(); return true; }})()"
        );
        self.until(&press);
    }

    /// Presses a key.
    pub fn key(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut press = json!({ "type": kind, "key": key, "code": key,
                                    "windowsVirtualKeyCode": code });
            if key == "Enter" && kind == "keyDown" {
                press["text"] = "\r".into();
            }
            self.ask("Input.dispatchKeyEvent", press);
        }
    }

    /// Makes the window so wide and high, and dark or light.
    pub fn show(&mut self, width: u32, height: u32, scheme: &str) {
        let phone = width < 600;
        let size = json!({ "width": width, "height": height, "mobile": phone,
                           "deviceScaleFactor": if phone { 2 } else { 1 } });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Writes a picture of the window, where `UPRIGHT_SCREENSHOTS` names a directory.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("UPRIGHT_SCREENSHOTS") else { return };
        let picture = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = engine::text::base64_decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // So that its children end with it.
        let close = format!("{}\0", json!({ "id": 0, "method": "Browser.close" }));
        let _ = self.input.write_all(close.as_bytes());
        // The pipe is at its end when they have.
        while self.output.recv_timeout(Duration::from_secs(20)).is_ok() {}
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
