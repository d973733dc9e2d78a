#[derive(vk::Plain)]
struct Name<'a> {
    text: &'a str,
}

fn main() {}
