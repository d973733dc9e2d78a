vk::vk_app! {
    name: "echo",
    stdio: echo,
    heap: "8 KiB",
}

fn main() {}
