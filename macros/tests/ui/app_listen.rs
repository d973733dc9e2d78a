vk::vk_app! {
    name: "echo",
    listen: echo,
}

fn main() {}
