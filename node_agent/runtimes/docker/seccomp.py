"""The system calls that a sandbox may make: the seccomp profile that its container is created with.

It lists what is allowed; every other call fails with EPERM, as does what kernels learn after this was written. Written
for x86-64 and arm64, from the kernel's own tables. Three things follow from how filters work:

- The profile names no architectures, so that the engine allows the host's own alone. A 32-bit call (`int 0x80`, x32,
  ARM's 32-bit calls) ends its process: `socketcall` and every number that means something else there is out of reach.
- Socket families are allowed one by one, compared in the 32 bits that the kernel reads. A rule that forbids a family by
  its number is passed by setting any bit above those.
- `clone3` hides its flags in memory, where no filter can look. It "does not exist", and C libraries fall back to
  `clone`, whose flags are an argument.
"""

from __future__ import annotations

import json
from typing import Any

EPERM, ENOSYS = 1, 38

WORD = 0xFFFFFFFF
"""The bits of an `int` among the 64 of an argument."""

FILES = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr
    lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2
    read readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat
    statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes
    write writev
"""
WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex futex_requeue
    futex_wait futex_waitv futex_wake get_robust_list io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
    pause pipe pipe2 poll ppoll pselect6 select set_robust_list signalfd signalfd4
"""
MEMORY = """
    brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
"""
PROCESSES = """
    arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid
    getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get
    ioprio_set kill
    landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64
    restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield seccomp set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority
    setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack sysinfo tgkill times tkill uname vfork
    wait4 waitid
"""
DEBUGGERS = """
    process_vm_readv process_vm_writev ptrace
"""
"""Which see the sandbox's own processes alone, and which since Linux 4.8 pass no filter."""
SHARED_MEMORY = """
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget
    semop semtimedop shmat shmctl shmdt shmget
"""
CLOCKS = """
    alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
"""
SOCKETS = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
    sendto setsockopt shutdown
"""
OTHERS = """
    getrandom
"""

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NETLINK_ROUTE = 0
"""What lists a host's interfaces. Other protocols of netlink speak to audit, firewalls, crypto and devices."""

NEW_NAMESPACES = 0x7E020000
"""The flags of `clone` for mount, cgroup, UTS, IPC, user, PID and network namespaces."""

PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0x40000, WORD)
"""Linux, its 32-bit address space, another version in `uname`, both, addresses without randomness for debuggers; and
the question which it is.
"""

NOT_THERE = "clone3 io_uring_enter io_uring_register io_uring_setup"
"""Libraries take another way where these do not exist, and give up where they are forbidden."""


def profile() -> dict[str, Any]:
    """The profile as the engine's `--security-opt seccomp=` takes it."""
    groups = (FILES, WAITING, MEMORY, PROCESSES, DEBUGGERS, SHARED_MEMORY, CLOCKS, SOCKETS, OTHERS)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "syscalls": [
            _allow(*" ".join(groups).split()),
            *(_allow("socket", _bits(0, WORD, family)) for family in (AF_UNIX, AF_INET, AF_INET6)),
            _allow("socket", _bits(0, WORD, AF_NETLINK), _bits(2, WORD, NETLINK_ROUTE)),
            # No program needs a pair of another family, and the kernel loads TIPC's module for whoever asks for one.
            _allow("socketpair", _bits(0, WORD, AF_UNIX)),
            _allow("clone", _bits(0, NEW_NAMESPACES, 0)),
            *(_allow("personality", _bits(0, WORD, which)) for which in PERSONALITIES),
            {"names": NOT_THERE.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
        ],
    }


def _allow(*names_and_conditions: str | dict[str, Any]) -> dict[str, Any]:
    """A rule that allows calls, under conditions that all have to hold."""
    names = [each for each in names_and_conditions if isinstance(each, str)]
    conditions = [each for each in names_and_conditions if not isinstance(each, str)]
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": conditions}


def _bits(index: int, mask: int, value: int) -> dict[str, Any]:
    """The condition that the bits of `mask` in argument `index` are `value`."""
    return {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": value}


PROFILE = json.dumps(profile(), separators=(",", ":"))
"""The profile as text."""
