//go:build !windows

package reach

import "syscall"

// Errors of the system by what they mean.
var (
	refused = []error{syscall.ECONNREFUSED}
	noRoute = []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL}
	closed  = []error{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
)
