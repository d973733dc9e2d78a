vk::vk_app! {
    name: "echo",
    port: 7007,
}

fn main() {}
