#[derive(vk::Plain)]
struct Request {
    length: usize,
    path: String,
}

#[derive(vk::Plain)]
enum Body<T> {
    Empty,
    Bytes(Vec<u8>),
    Other(T),
}

fn main() {}
