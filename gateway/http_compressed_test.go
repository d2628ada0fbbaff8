package gateway

import (
	"strings"
	"testing"
)

// isCompressed reports whether the rigs of a test compress: those of TestCompressed do.
func isCompressed(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestCompressed/") }

// TestCompressed holds streams and polls to the same promises when they are compressed: it
// runs the tests in which the bytes of a body, its flushing or its end could differ a
// second time, with clients that accept gzip. They read what the others read, and an
// orderly end is one of the compressed body, too.
func TestCompressed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"StreamBegins": TestStreamBegins, "DeliveryBytes": TestDeliveryBytes, "Envelopes": TestEnvelopes, "EndOfChannel": TestEndOfChannel,
		"Latest": TestLatest, "HeartbeatEvents": TestHeartbeatEvents, "Heartbeats": TestHeartbeats,
		"DrainTellsClientsToComeBack": TestDrainTellsClientsToComeBack, "StopWhileStreamsOpen": TestStopWhileStreamsOpen,
		"ResumeWhileItIsWritten": TestResumeWhileItIsWritten, "Burst": TestBurst, "ResumeSeveralChannels": TestResumeSeveralChannels, "Trimmed": TestTrimmed,
		"StreamEndsWithItsToken":              TestStreamEndsWithItsToken,
		"StreamOfASlowClientEndsWithItsToken": TestStreamOfASlowClientEndsWithItsToken, "Problems": TestProblems, "Head": TestHead,
		"RefusedWhileDraining": TestRefusedWhileDraining, "Poll": TestPoll, "PollGapsAndEnd": TestPollGapsAndEnd, "LongPoll": TestLongPoll,
	} {
		t.Run(name, test)
	}
}
