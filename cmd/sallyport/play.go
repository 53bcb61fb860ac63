package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// play writes the output of an asciicast v2 at its own pace.
func play(ctx context.Context, cast io.Reader, out io.Writer, speed, idle float64) error {
	lines := bufio.NewScanner(cast)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	last := 0.0
	for first := true; lines.Scan(); first = false {
		if first {
			continue // the header
		}
		var at float64
		var kind, data string
		if err := json.Unmarshal(lines.Bytes(), &[]any{&at, &kind, &data}); err != nil {
			return fmt.Errorf("the cast cannot be read: %w", err)
		}
		if kind != "o" {
			continue
		}
		pause := min(max(at-last, 0), idle) / speed
		last = at
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(pause * float64(time.Second))):
		}
		if _, err := io.WriteString(out, data); err != nil {
			return err
		}
	}
	return cutOff(lines.Err())
}
