#[derive(vk::Plain)]
union Either {
    small: u8,
    large: u32,
}

fn main() {}
