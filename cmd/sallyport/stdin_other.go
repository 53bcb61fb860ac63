//go:build !linux

package main

import "io"

func polled(stdin io.Reader) io.Reader { return stdin }
