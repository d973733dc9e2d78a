vk::vk_app! {
    name: "echo",
}

fn main() {}
