"""The Slack edge: people come in through listeners, messages go out through the poster.

doors      names that cards, listeners and the manifest share
reading    a payload of Slack → Caller, words, ids; what must not be read at all
listeners  ack, read, hand over
app        the Bolt app and its Socket Mode connection
directory  who people are, looked up at the click
render     every sentence for chat
replies    answers for one person's eyes
poster     the outbox, told within Slack's limits
faults     slack_sdk's exceptions → what to do about them
examine    `rootkeeper doctor` for this edge
"""
