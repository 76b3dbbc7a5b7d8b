upstreams = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
