vk::vk_app! {
    name: "echo",
    name: "again",
    stdio: echo,
}

fn main() {}
