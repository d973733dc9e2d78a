//! The site in a real browser. Left out where there is no Chromium.

use crate::start;
use std::path::Path;
use vk_try::{Browser, eventually};

#[test]
fn a_browser_sees_the_site() {
    let Some(mut browser) = Browser::start(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let app = start(None);
    let page = browser.open(&format!("http://{}/", app.address(0)));
    // The script has run, to its last line.
    let last = "document.querySelector('#visit tr:last-child td')?.textContent";
    eventually("the script has run", || browser.evaluate(&page, last) == "all");
    // The style is there.
    let border = "getComputedStyle(document.querySelector('table')).borderCollapse";
    assert_eq!(browser.evaluate(&page, border), "collapse");
    let pictures = "[...document.images].map(image => image.naturalWidth > 0).join()";
    assert_eq!(browser.evaluate(&page, pictures), "true,true");
    let answered = |status: u16, what: &str| {
        let (status, what) = (format!("status={status} "), format!("GET {what} HTTP/1.1"));
        app.log().lines().filter(|line| line.contains(&status) && line.contains(&what)).count()
    };
    let files = ["/", "/style.css", "/main.js", "/mark.svg", "/dusk.png"];
    for file in files {
        assert_eq!(answered(200, file), 1, "{file}");
    }

    browser.reload(&page);
    eventually("all files are known again", || files.iter().all(|file| answered(304, file) > 0));
    eventually("the script has run again", || browser.evaluate(&page, last) == "all");
    assert_eq!(browser.evaluate(&page, pictures), "true,true");
    for file in files {
        assert_eq!(answered(200, file), 1, "{file}");
    }

    let title = "document.title";
    browser.evaluate(&page, "document.querySelector('nav a:not([aria-current])').click()");
    eventually("a link is followed", || browser.evaluate(&page, title) == "Notes");
    assert_eq!(browser.evaluate(&page, "location.pathname"), "/notes/");
    assert_eq!((answered(301, "/notes"), answered(200, "/notes/")), (1, 1));
    browser.evaluate(&page, "document.querySelector('main a').click()");
    eventually("nothing is there", || browser.evaluate(&page, title) == "Nothing here");
    assert_eq!(answered(404, "/nowhere"), 1);
}
