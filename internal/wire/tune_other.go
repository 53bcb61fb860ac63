//go:build !linux

package wire

import "net"

func tune(net.Conn) {}
