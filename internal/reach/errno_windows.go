package reach

import "syscall"

// Error codes of Windows Sockets, grouped by meaning: syscall's POSIX names do not match them.
var (
	refused = []error{syscall.Errno(10061)} // WSAECONNREFUSED
	noRoute = []error{
		syscall.Errno(10051), // WSAENETUNREACH
		syscall.Errno(10065), // WSAEHOSTUNREACH
		syscall.Errno(10050), // WSAENETDOWN
		syscall.Errno(10049), // WSAEADDRNOTAVAIL
	}
	closed = []error{syscall.WSAECONNRESET, syscall.WSAECONNABORTED, syscall.EPIPE}
)
