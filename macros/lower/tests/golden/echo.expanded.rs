/// Echoes each line until the client hangs up.
#[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
#[repr(C)]
pub struct echo {
    pc: u32,
    line: ::vk::rt::Slot<Line<1024>>,
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
unsafe impl ::vk::rt::Frame for echo {
    const FIELDS: &'static [::vk::rt::Field] = &[
        ::vk::rt::Field::of::<Line<1024>>("line", ::core::mem::offset_of!(Self, line)),
    ];
    const LAYOUT: u64 = ::vk::rt::layout::<Self>(&[]);
    const BODY: u64 = ::vk::rt::hash::numbers(&[2230361978566689526u64]);
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
impl echo {
    #[doc(hidden)]
    #[inline]
    pub fn enter(&mut self) {
        self.pc = 0;
    }
    #[doc(hidden)]
    #[inline]
    pub fn resume(&mut self, io: &mut Io) -> ::vk::rt::Poll<io::Result<()>> {
        Self::step(self, io)
    }
    fn step(frame: &mut Self, io: &mut Io) -> ::vk::rt::Poll<io::Result<()>> {
        let mut pc = frame.pc;
        frame.pc = ::vk::rt::DONE;
        'run: loop {
            'blocks: {
                'b4: {
                    'b3: {
                        'b2: {
                            'b1: {
                                match pc {
                                    0 => {}
                                    1 => break 'b1,
                                    2 => break 'b2,
                                    3 => break 'b3,
                                    _ => ::vk::rt::resumed_after_end("echo"),
                                }
                                {
                                    let line = frame.line.write(Line::new());
                                }
                            }
                            {
                                let line = unsafe { frame.line.get() };
                                if (match io.read_line(&mut (*line)) {
                                    ::vk::rt::Poll::Ready(value) => value,
                                    ::vk::rt::Poll::Pending => {
                                        frame.pc = 1;
                                        return ::vk::rt::Poll::Pending;
                                    }
                                })? {} else {
                                    break 'b4;
                                };
                            }
                        }
                        {
                            let line = unsafe { frame.line.get() };
                            (match io.write(&(*line)) {
                                ::vk::rt::Poll::Ready(value) => value,
                                ::vk::rt::Poll::Pending => {
                                    frame.pc = 2;
                                    return ::vk::rt::Poll::Pending;
                                }
                            })?;
                        }
                    }
                    {
                        (match io.flush() {
                            ::vk::rt::Poll::Ready(value) => value,
                            ::vk::rt::Poll::Pending => {
                                frame.pc = 3;
                                return ::vk::rt::Poll::Pending;
                            }
                        })?;
                        {
                            pc = 1;
                            continue 'run;
                        };
                    }
                }
                {
                    return ::vk::rt::Poll::Ready(Ok(()));
                }
            }
        }
    }
}
#[allow(clippy::all)]
impl ::vk::rt::Coroutine for echo {
    type Args = ();
    type Output = io::Result<()>;
    const NAME: &'static str = ::core::concat!(::core::module_path!(), "::", "echo");
    const SHAPE: &'static ::vk::rt::Shape = &::vk::rt::Shape {
        fields: <Self as ::vk::rt::Frame>::FIELDS,
        points: &[
            ::vk::rt::Point {
                pc: 1,
                anchor: 13931320505365378739,
                line: ::core::line!(),
                calls: false,
                live: &[0],
            },
            ::vk::rt::Point {
                pc: 2,
                anchor: 11679148953330609983,
                line: ::core::line!(),
                calls: false,
                live: &[0],
            },
            ::vk::rt::Point {
                pc: 3,
                anchor: 1672881573169048544,
                line: ::core::line!(),
                calls: false,
                live: &[0],
            },
        ],
        file: ::core::file!(),
    };
    const ENTRY: ::core::option::Option<
        &'static ::core::option::Option<::vk::rt::Entry>,
    > = ::vk::rt::register!(echo);
    #[inline]
    fn start(frame: &mut ::core::mem::MaybeUninit<Self>, args: Self::Args) {
        let frame = unsafe {
            (&raw mut (*frame.as_mut_ptr()).pc).write(0);
            frame.assume_init_mut()
        };
    }
    #[inline]
    fn resume(&mut self, io: &mut ::vk::rt::Io) -> ::vk::rt::Poll<Self::Output> {
        Self::step(self, io)
    }
}
