/// Where a request stands.
#[derive(vk::Plain)]
pub struct Request {
    pub length: u64,
    pub path: Line<64>,
}

#[derive(vk::Plain)]
struct Pair<A, B: Copy>(A, B);
