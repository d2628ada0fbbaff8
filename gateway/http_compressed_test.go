package gateway

import (
	"strings"
	"testing"
)

// isCompressed reports whether the rigs of a test compress: those of TestCompressed do.
func isCompressed(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestCompressed/") }

// TestCompressed holds streams and polls to the same promises when they are compressed: it
// runs tests a second time, with clients that accept gzip. They read what the others
// read, and an orderly end is one of the compressed body, too.
func TestCompressed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"StreamBegins": TestStreamBegins, "DeliveryBytes": TestDeliveryBytes, "StreamOfAnEmptyChannel": TestStreamOfAnEmptyChannel,
		"Envelopes": TestEnvelopes, "EndOfChannel": TestEndOfChannel, "EndOfSeveralChannels": TestEndOfSeveralChannels,
		"EndOfUnknownPosition": TestEndOfUnknownPosition, "Latest": TestLatest,
		"HeartbeatEvents": TestHeartbeatEvents, "Heartbeats": TestHeartbeats, "NoHeartbeatsWhileBusy": TestNoHeartbeatsWhileBusy,
		"FlushIntervalCollects": TestFlushIntervalCollects, "ClientsLeave": TestClientsLeave, "ClientsLeaveRudely": TestClientsLeaveRudely,
		"DrainTellsClientsToComeBack": TestDrainTellsClientsToComeBack, "StopWhileStreamsOpen": TestStopWhileStreamsOpen,
		"TwoClients": TestTwoClients, "ResumeWhileItIsWritten": TestResumeWhileItIsWritten, "Burst": TestBurst,
		"ResumeOneChannel": TestResumeOneChannel, "PositionsInTheURL": TestPositionsInTheURL, "ChangingChannels": TestChangingChannels,
		"ResumeSeveralChannels": TestResumeSeveralChannels, "UnknownIDs": TestUnknownIDs, "BeyondTheEnd": TestBeyondTheEnd,
		"Trimmed": TestTrimmed, "ReplayAndSince": TestReplayAndSince, "MaxAge": TestMaxAge, "StreamEndsWithItsToken": TestStreamEndsWithItsToken,
		"StreamOfASlowClientEndsWithItsToken": TestStreamOfASlowClientEndsWithItsToken, "Problems": TestProblems, "Head": TestHead,
		"RefusedWhileDraining": TestRefusedWhileDraining, "RefusalKeepsTheHTTP2Connection": TestRefusalKeepsTheHTTP2Connection,
		"Poll": TestPoll, "PollGapsAndEnd": TestPollGapsAndEnd, "LongPoll": TestLongPoll, "PollIsBounded": TestPollIsBounded,
	} {
		t.Run(name, test)
	}
}
