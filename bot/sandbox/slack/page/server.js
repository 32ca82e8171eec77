// Talking to the stand-in's control API.

export async function act(what, body) {
  const response = await fetch(`/sandbox/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const outcome = await response.json();
  if (!response.ok) throw new Error(outcome.error);
  return outcome;
}

// Calls show(state) now and after every change, for ever; lost(true) while the server does not answer.
export async function follow(show, lost) {
  let version = null;
  for (;;) {
    try {
      const since = version === null ? "" : `?since=${version}`;
      const response = await fetch(`/sandbox/state${since}`);
      const state = await response.json();
      lost(false);
      if (state.version !== version) show(state);
      version = state.version;
    } catch {
      lost(true);
      version = null;
      await new Promise((resume) => setTimeout(resume, 1000));
    }
  }
}
