"""Questions made from people's captions, without a language model; and the wordings of the special inputs."""
