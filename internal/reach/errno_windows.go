package reach

import "syscall"

// Errors of Windows Sockets by what they mean: syscall's POSIX names do not match them.
var (
	refused = []error{syscall.Errno(10061)}                                                                   // WSAECONNREFUSED
	noRoute = []error{syscall.Errno(10051), syscall.Errno(10065), syscall.Errno(10050), syscall.Errno(10049)} // WSAENETUNREACH, WSAEHOSTUNREACH, WSAENETDOWN, WSAEADDRNOTAVAIL
	closed  = []error{syscall.WSAECONNRESET, syscall.WSAECONNABORTED, syscall.EPIPE}
)
