vk::vk_app! {
    name: "echo",
    listen: "localhost" => echo,
}

fn main() {}
