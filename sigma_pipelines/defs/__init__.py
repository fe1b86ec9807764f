"""Asset domains: rounds (per submission), standing and models (unpartitioned)."""
