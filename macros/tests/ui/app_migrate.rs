vk::vk_app! {
    name: "echo",
    stdio: echo,
    migrate: echo,
}

fn main() {}
