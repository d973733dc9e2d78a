#[derive(vk::Plain)]
struct Guard(u32);

impl Drop for Guard {
    fn drop(&mut self) {}
}

#[derive(vk::Plain)]
struct Generic<T>(T);

impl<T> Drop for Generic<T> {
    fn drop(&mut self) {}
}

fn main() {}
