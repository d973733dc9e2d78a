//! Two pages in a real browser. Left out where there is no Chromium.

use crate::{kill_workers, start};
use serde_json::Value;
use std::path::Path;
use vk_try::{Browser, eventually};

/// Says something on a page.
fn says(browser: &mut Browser, page: &Value, text: &str) {
    let script =
        format!("document.getElementById('text').value = '{text}'; document.forms[0].requestSubmit()");
    browser.evaluate(page, &script);
}

/// Waits until all that was said is on the page.
fn hears(browser: &mut Browser, page: &Value, all: &str) {
    let script = "[...document.querySelectorAll('li')].map(line => line.textContent).join('|')";
    eventually(&format!("{all} on the page"), || browser.evaluate(page, script) == all);
}

#[test]
fn pages_go_on_when_workers_are_killed() {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium");
    let Some(mut browser) = Browser::start(&profile) else { return };
    let (app, _) = start("browser");
    let pages = [browser.open(app.address(0)), browser.open(app.address(0))];
    for page in &pages {
        let state = "document.getElementById('state')?.value";
        eventually("the page is connected", || browser.evaluate(page, state) == "connected");
    }
    let mut all = String::new();
    for round in 0..3 {
        for (number, page) in pages.iter().enumerate() {
            let text = format!("{round}{number} <b>&amp; µ");
            says(&mut browser, page, &text);
            all += &format!("{}me: {text}", if all.is_empty() { "" } else { "|" });
            pages.iter().for_each(|page| hears(&mut browser, page, &all));
        }
        kill_workers(&app);
    }
    // A cut would be seen by now, and counted.
    says(&mut browser, &pages[0], "end");
    all += "|me: end";
    for page in &pages {
        hears(&mut browser, page, &all);
        let state = "`${document.getElementById('state').value} ${document.getElementById('cuts').value}`";
        assert_eq!(browser.evaluate(page, state), "connected 0");
    }
}
