//! Two pages in a real browser. Left out where there is no Chromium.

use crate::{kill_workers, start};
use std::path::Path;
use vk_try::{Browser, Page, eventually};

fn says(browser: &mut Browser, page: &Page, text: &str) {
    let script =
        format!("document.getElementById('text').value = '{text}'; document.forms[0].requestSubmit()");
    browser.evaluate(page, &script);
}

/// Waits until all that was said is on the page.
fn hears(browser: &mut Browser, page: &Page, all: &str) {
    let script = "[...document.querySelectorAll('li')].map(line => line.textContent).join('|')";
    eventually(&format!("{all} on the page"), || browser.evaluate(page, script) == all);
}

#[test]
fn pages_go_on_when_workers_are_killed() {
    let Some(mut browser) = Browser::start(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let (app, _) = start("browser");
    let url = format!("http://{}/", app.address(0));
    let pages = [browser.open(&url), browser.open(&url)];
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
