package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/term"
)

// The witness stands on the terminal of a session and knows nothing of the product: what it receives goes into its own
// file, synced, and it floods the screen meanwhile. It is this test's program under another name.
func init() {
	if filepath.Base(os.Args[0]) == "witness" {
		if err := witness(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func witness(log string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := term.MakeRaw(0); err != nil {
		return err
	}
	fmt.Print("witness\r\n")
	go floodScreen()
	buf := make([]byte, 4096)
	for {
		n, err := os.Stdin.Read(buf)
		if err != nil {
			return err
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if bytes.IndexByte(buf[:n], 4) >= 0 {
			return nil
		}
	}
}

// floodScreen prints single lines, and now and then as much as fits.
func floodScreen() {
	for n := 0; ; n++ {
		out := fmt.Appendf(nil, "%08d the quick brown fox\r\n", n)
		if rand.IntN(50) == 0 {
			out = bytes.Repeat(out, 1+rand.IntN(2000))
		}
		os.Stdout.Write(out)
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
	}
}

// witnessProgram puts this program where a session can start it.
func witnessProgram(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(dir, "witness")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
